"""Tiles in Web Mercator, in the colours of the page: titiler.core's frame, rio-tiler's reader."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import morecantile
import numpy as np
import numpy.typing as npt
from attrs import define
from fastapi import HTTPException, Path, Query, Request
from fastapi.responses import Response
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from titiler.core.factory import BaseFactory
from titiler.core.resources.enums import ImageType
from titiler.core.utils import render_image

from pm25map.base.errors import BadRequest
from pm25map.view.colours import Palette, colours, ramp, range_of
from pm25map.view.layers import PM25, Layer
from pm25map.view.page_data import EDITIONS
from pm25map.view.server.answers import SAID, Key, Name
from pm25map.view.server.catalogue import Entry
from pm25map.view.server.kept import kept, unchanged
from pm25map.view.server.limits import Slots

DEEPEST_ZOOM = 14
MOST_CELLS = 16_000_000
"""Stored cells that one tile may read: about half a second."""

_TILE = 256
_MERCATOR = morecantile.tms.get("WebMercatorQuad")


@define(kw_only=True)
class MapTiles(BaseFactory):
    """Tiles in Web Mercator. titiler.core's own factory has 20 parameters, some of them without a limit."""

    find: Callable[[str], Entry]
    slots: Slots

    def register_routes(self) -> None:
        """Add the route of the tiles."""

        @self.router.get(
            "/maps/{name}/tiles/{z}/{x}/{y}.png",
            response_class=Response,
            responses={**SAID, 200: {"content": {"image/png": {}}, "description": "A tile of 256 pixels"}},
        )
        def tile(
            request: Request,
            name: Name,
            z: Annotated[int, Path(ge=0, le=DEEPEST_ZOOM)],
            x: Annotated[int, Path(ge=0, lt=2**DEEPEST_ZOOM)],
            y: Annotated[int, Path(ge=0, lt=2**DEEPEST_ZOOM)],
            layer: Key = PM25,
            edition: Annotated[
                Literal["2024", "earlier"], Query(description="Classes of the index")
            ] = "2024",
            palette: Annotated[Palette, Query(description="EPA's colours, or colour-blind safe")] = "epa",
        ) -> Response:
            """Return a tile in the colours of the Air Quality Index; each pixel has its cell's own value."""
            entry = self.find(name)
            found = entry.layer(layer)
            if found is None:
                raise HTTPException(404, f"map {entry.name} has no such layer: ask /maps which there are")
            if not entry.share(z, x, y):
                raise HTTPException(404, "the map does not reach this tile")
            known = unchanged(request, entry)
            if known is not None:
                return known
            with self.slots.one():
                values = _read(entry, found, morecantile.Tile(x, y, z))
                picture = ImageData(_coloured(entry, layer, edition, palette, values))
            content, kind = render_image(picture, output_format=ImageType.png, add_mask=True)
            return Response(content, media_type=kind, headers=kept(entry))


def _read(entry: Entry, layer: Layer, tile: morecantile.Tile) -> npt.NDArray[np.floating]:
    """Read the values of a tile, (256, 256), NaN where there is none.

    Raises:
        BadMap: the file is not as it was.
        BadRequest: the tile covers so many stored cells that it would keep others waiting.
    """
    with entry.opened(layer) as raster, Reader(str(layer.path), dataset=raster.source) as source:
        cells = entry.share(tile.z, tile.x, tile.y) * raster.source.width * raster.source.height
        # GDAL reads the smallest overview that is still finer than the tile.
        wanted = (cells / _TILE**2) ** 0.5
        coarser = max([1, *(step for step in raster.source.overviews(layer.band) if step <= wanted)])
        if cells / coarser**2 > MOST_CELLS:
            raise BadRequest(
                f"the tile covers {cells:,.0f} cells and the map has no overview for it: zoom in, or add overviews "
                "with gdaladdo"
            )
        image = source.part(
            tuple(_MERCATOR.xy_bounds(tile)),
            dst_crs=_MERCATOR.rasterio_crs,
            bounds_crs=_MERCATOR.rasterio_crs,
            width=_TILE,
            height=_TILE,
            indexes=layer.band,
            resampling_method="nearest",
        )
        return raster.meaning(layer.band, image.array[0])


def _coloured(
    entry: Entry, key: str, edition: str, palette: Palette, values: npt.NDArray[np.floating]
) -> "np.ma.MaskedArray[Any, Any]":
    """Return red, green and blue (3, y, x), uint8; masked where there is no value."""
    edges, shades = _table(entry, key, edition, palette)
    known = np.isfinite(values)
    step = np.digitize(np.where(known, values, 0), edges[1:-1])
    colour = np.moveaxis(shades[step], -1, 0)
    return np.ma.MaskedArray(colour, mask=np.broadcast_to(~known, colour.shape))


_tables: dict[tuple[str, str, str, str], tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]] = {}
"""Colours of a layer that were worked out before: edges of values, and RGB between two edges."""


def _table(
    entry: Entry, key: str, edition: str, palette: Palette
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    layer = entry.layer(key)
    by_class = layer is not None and layer.kind == "concentration"
    # The classes are the same on every map; another layer has a range of its own.
    name = (edition, palette, "", "") if by_class else ("", "", str(entry.shown.path), key)
    if name not in _tables:
        if by_class:
            colormap, norm = colours(EDITIONS[edition], palette)
            edges = np.array(norm.boundaries, dtype=np.float64)
            shades = np.array(colormap(range(colormap.N), bytes=True))[:, :3]
        else:
            values = next(found.values for found in entry.whole().layers if found.key == key)
            ends = range_of(values)
            hexes = ramp(signed=ends[0] < 0)
            edges = np.linspace(*ends, len(hexes) + 1)
            shades = np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes], dtype=np.uint8)
        _tables[name] = edges, shades
    return _tables[name]

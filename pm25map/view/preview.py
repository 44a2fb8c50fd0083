"""The picture of a map: state lines, the colours of the Air Quality Index, a legend in ug/m3, the date."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context, rcParamsDefault
from pyproj import CRS
from rasterio.enums import Resampling

from pm25map.base.aqi import CATEGORIES, Category, concentration_text
from pm25map.base.errors import BadMap
from pm25map.base.files import check_output, replacing
from pm25map.grid.geotiff import open_raster
from pm25map.raster.info import MapDescription, describe
from pm25map.raster.provenance import AQI_EDITION
from pm25map.view.colours import Palette
from pm25map.view.drawing import MARGIN_IN, WIDTH_IN, Picture, figure_of
from pm25map.view.headline import beware
from pm25map.view.layers import PM25, LookedAt, read_joined
from pm25map.view.legend import INK

DPI = 160
"""1,824 pixels across."""

PAPER_DPI = 300

AQI_EDITION_BEFORE = "78 FR 3086, in force from 2012 to May 2024"


def draw_preview(cog_path: Path, png_path: Path, *, overwrite: bool = False) -> None:
    """Draw a map in its own projection.

    Args:
        cog_path: a map that pm25map wrote.
        png_path: the picture to write, about 1,800 pixels wide.
        overwrite: replace a picture that is there.

    Raises:
        BadMap: the map cannot be read.
        BadOutput: the picture cannot be written.
    """
    check_output(png_path, overwrite=overwrite)
    found = describe(cog_path)
    values, shown = _read(cog_path, 1, DPI)
    picture = _of_map(found, values, shown)
    _save(picture, png_path, DPI, "png")


def draw_figure(
    one: Path | LookedAt,
    out: Path,
    *,
    key: str = PM25,
    categories: tuple[Category, ...] = CATEGORIES,
    palette: Palette = "epa",
    dpi: int = PAPER_DPI,
    overwrite: bool = False,
) -> None:
    """Draw a figure for a paper: as the preview, with the projection stated, any band, any program's map.

    Args:
        one: the map, or the file of it.
        out: .png or .pdf.
        key: of the layer; of a map without PM2.5 the first one is drawn where "pm25" is asked for.
        categories, palette: the classes of the index and their colours.
        dpi: pixels an inch.
        overwrite: replace a file that is there.

    Raises:
        BadMap: the map cannot be read, or lacks the layer.
        BadOutput: the figure cannot be written.
    """
    check_output(out, overwrite=overwrite)
    picture = picture_of(one, key=key, categories=categories, palette=palette, dpi=dpi)
    _save(picture, out, dpi, "pdf" if out.suffix.lower() == ".pdf" else "png")


def picture_of(
    one: Path | LookedAt,
    *,
    key: str = PM25,
    categories: tuple[Category, ...] = CATEGORIES,
    palette: Palette = "epa",
    dpi: int = PAPER_DPI,
) -> Picture:
    """Read what a figure shows; arguments and errors as in `draw_figure`."""
    one = read_joined(one) if isinstance(one, Path) else one
    path = one.path
    keys = [layer.key for layer in one.layers]
    if key not in keys and not (key == PM25 and one.found is None):
        raise BadMap(f"{path} has no layer {key!r}: it has {', '.join(keys)}")
    number = keys.index(key) if key in keys else 0
    layer = one.layers[number]
    values, shown = _read(layer.path, layer.band, dpi)
    if not np.isfinite(values).any():
        raise BadMap(f"layer {layer.label!r} of {path} holds no value: there is nothing to draw")
    a, _, c, _, e, f = one.transform
    rows, cols = one.shape
    where = "Projection: " + _projection(one.crs)
    unit = layer.unit.replace("ug m-3", "µg/m³")
    mean, maximum = float(np.nanmean(values)), float(np.nanmax(values))
    edition = AQI_EDITION if categories is CATEGORIES else AQI_EDITION_BEFORE
    credit = f"{_credit(one.found, edition)}\n{where}" if one.found else f"{path.name}  |  {where}"
    if layer.key == PM25 and one.found:
        drawn = _of_map(one.found, values, shown)
        title, subtitle, warning = drawn.title, drawn.subtitle, drawn.warning
    else:
        title = f"{layer.label}, {one.day.day} {one.day:%B %Y}" if one.day else layer.label
        subtitle = f"Mean {mean:.4g}, maximum {maximum:.4g} {unit}".rstrip()
        warning = beware(one.found.provenance.warnings) if one.found else ""
    return Picture(
        values=values,
        shown=shown,
        crs=one.crs,
        transform=(a * cols / values.shape[1], 0.0, c, 0.0, e * rows / values.shape[0], f),
        bounds=(c, f + e * rows, c + a * cols, f),
        title=title,
        subtitle=subtitle,
        credit=credit,
        label=layer.label,
        unit=unit,
        by_class=layer.kind == "concentration",
        categories=categories,
        palette=palette,
        warning=warning,
    )


def _of_map(
    found: MapDescription, values: npt.NDArray[np.float32], shown: npt.NDArray[np.float32]
) -> Picture:
    day, s = found.provenance.day, found.statistics
    grey = "" if s.coverage_percent == 100 and found.provenance.region == "all" else "; grey: no estimate"
    return Picture(
        values=values,
        shown=shown,
        crs=found.crs,
        transform=found.transform,
        bounds=found.bounds,
        title=f"PM$_{{\\mathbf{{2.5}}}}$, 24-hour mean, {day.day} {day:%B %Y}",
        subtitle=f"Estimated at the surface; mean {s.mean:.1f}, maximum {concentration_text(s.maximum)} µg/m³{grey}",
        credit=_credit(found),
        warning=beware(found.provenance.warnings),
    )


def _read(path: Path, number: int, dpi: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Read a band whole, and as large as the picture can show it."""
    with open_raster(path) as raster:
        values = raster.values(number).astype(np.float32)
        # A map of more cells than the picture has pixels is averaged, and not left to chance.
        pixels = int((WIDTH_IN - 2 * MARGIN_IN) * dpi)
        rows, cols = values.shape
        coarser = max(1, cols // pixels, rows // pixels)
        if coarser == 1:
            return values, values
        size = -(-rows // coarser), -(-cols // coarser)
        return values, raster.values(number, shape=size, resampling=Resampling.average).astype(np.float32)


def _save(picture: Picture, out: Path, dpi: int, kind: Literal["png", "pdf"]) -> None:
    # No name, version or clock in the file: the same map always gives the same bytes.
    silent: dict[str, str | None] = {"Software": None}
    if kind == "pdf":
        silent = {"Creator": None, "Producer": None, "CreationDate": None, "Title": None}
    # A user's own matplotlibrc must not change the picture.
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": INK}):
        figure = figure_of(picture, dpi)
        with replacing(out) as part:
            figure.savefig(part, format=kind, dpi=dpi, metadata=silent)


def _credit(found: MapDescription, edition: str = "") -> str:
    p = found.provenance
    facts = (
        f"pm25map {p.software_version}",
        f"model {p.model_name} {p.model_version} (card {p.card_checksum[:8]})",
        f"grid {p.grid_name}",
        f"day: {p.day_definition}",
        f"Air Quality Index classes: {edition or p.aqi_edition}",
    )
    return "  |  ".join(facts)


def _projection(crs: str) -> str:
    known = CRS.from_user_input(crs)
    authority = known.to_authority()
    method = known.coordinate_operation.method_name if known.coordinate_operation else "degrees"
    return f"{known.name} ({':'.join(authority) if authority else 'own definition'}), {method}"

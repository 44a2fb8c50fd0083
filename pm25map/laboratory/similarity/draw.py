"""Pictures of location encoders: similarity to places and vectors as colours, side by side; and both as COG."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pyproj import Transformer

from pm25map.base.files import check_output, check_outputs, replacing
from pm25map.grid import Block, Grid
from pm25map.laboratory.similarity.similarity import NamedPlace, as_colours, similarity_to
from pm25map.places.location_encoder import LocationEncoder
from pm25map.raster.bands import Band
from pm25map.raster.cog import COG_OPTIONS, lay_out, write_whole

COLOUR_OPTIONS = {**COG_OPTIONS, "PREDICTOR": "2"}


@dataclass(frozen=True)
class Looks:
    """Similarities and colours of a grid, by one encoder.

    Attributes:
        encoder: its name.
        alike: float32 (place, y, x), cosine similarity to each place; NaN off land.
        colours: uint8 (3, y, x); 0 off land.
    """

    encoder: str
    alike: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]


def look_at(encoder: LocationEncoder, grid: Grid, places: list[NamedPlace]) -> Looks:
    """Embed the land of a grid, and compare it with places."""
    lon, lat = grid.lonlat()
    vectors = encoder.encode(lat, lon)
    alike = np.full((len(places), *grid.shape), np.nan, np.float32)
    for layer, place in zip(alike, places, strict=True):
        layer[grid.land] = similarity_to(encoder, vectors, place)
    colours = np.zeros((3, *grid.shape), np.uint8)
    colours[:, grid.land] = as_colours(vectors).T
    return Looks(encoder.name, alike, colours)


def draw_similarity(
    looks: list[Looks], grid: Grid, places: list[NamedPlace], path: Path, *, overwrite: bool = False
) -> None:
    """Draw a column for each encoder: a row for each place, then the colours. PNG.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    left, bottom, right, top = grid.bounds
    extent = (left, right, bottom, top)
    rows, columns = len(places) + 1, len(looks)
    tall = 5.2 * (top - bottom) / (right - left) + 0.3
    to_grid = Transformer.from_crs("OGC:CRS84", grid.crs, always_xy=True)
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(5.2 * columns + 0.9, rows * tall + 0.5), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_2d(figure.subplots(rows, columns, squeeze=False))
        # One scale for all: what is alike to one encoder and not to the other is what the eye shall find.
        low = (
            float(np.nanpercentile([np.nanpercentile(look.alike, 1) for look in looks], 0)) if places else 0.0
        )
        shown = None
        for look, column in zip(looks, panels.T, strict=True):
            for layer, place, axes in zip(look.alike, places, column[:-1], strict=True):
                shown = axes.imshow(
                    layer, extent=extent, cmap="viridis", vmin=low, vmax=1, interpolation="nearest"
                )
                x, y = to_grid.transform(place.lon, place.lat)
                if left <= x <= right and bottom <= y <= top:
                    axes.plot(x, y, marker="+", color="#D1495B", markersize=9, markeredgewidth=1.6)
                axes.set_title(f"{look.encoder}: like {place.name}", fontsize=9)
            rgba = np.concatenate([look.colours, 255 * grid.land[None].astype(np.uint8)]).transpose(1, 2, 0)
            column[-1].imshow(rgba, extent=extent, interpolation="nearest")
            column[-1].set_title(f"{look.encoder}: three principal components", fontsize=9)
        for axes in panels.flat:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        if shown is not None:
            bar = figure.colorbar(shown, ax=list(panels[:-1].flat), shrink=0.5, aspect=30, pad=0.01)
            bar.set_label("cosine similarity", fontsize=8)
            bar.ax.tick_params(labelsize=8)
        with replacing(path) as part:
            figure.savefig(part, format="png", metadata={"Software": None})


def similarity_paths(encoder: str, grid: Grid, folder: Path, *, similarity: bool) -> list[Path]:
    """Return the COGs that `write_similarity` writes for an encoder: its colours, and its similarity to places."""
    kinds = ("rgb", "similarity") if similarity else ("rgb",)
    return [folder / f"{encoder}-{kind}-{grid.name}.tif" for kind in kinds]


def write_similarity(
    look: Looks, grid: Grid, places: list[NamedPlace], folder: Path, *, overwrite: bool = False
) -> list[Path]:
    """Write the similarity (a band a place) and the colours of one encoder, Cloud-Optimized; give their paths.

    Raises:
        BadOutput: they cannot be written.
    """
    tags = {"ENCODER": look.encoder, "GRID": grid.name}
    whole = Block(0, 0, *grid.shape)
    similarity = {
        Band(f"like_{place.name}", f"cosine similarity to {place.name}", "1"): layer
        for place, layer in zip(places, look.alike, strict=True)
    }
    names = ("first", "second", "third")
    colours = {
        Band(f"component_{i + 1}", f"{name} principal component, 2 to 98 % stretched to 1 to 255", "1"): layer
        for i, (name, layer) in enumerate(zip(names, look.colours, strict=True))
    }
    contents = [lay_out(colours, grid, whole, tags, nodata=0, options=COLOUR_OPTIONS)]
    if similarity:
        contents.append(lay_out(similarity, grid, whole, tags))
    paths = similarity_paths(look.encoder, grid, folder, similarity=bool(similarity))
    check_outputs(paths, overwrite=overwrite)
    for path, content in zip(paths, contents, strict=True):
        write_whole(path, content)
    return paths

"""What `diagnose` and `predict --diagnostics` share: a map worked out with all that tells where to doubt it."""

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pm25map.diagnostics.diagnose import Diagnosis
    from pm25map.raster.estimator import Options
    from pm25map.raster.inputs import Inputs
    from pm25map.raster.part import Part

FILES = {
    "map": "pm25.tif",
    "bands": "diagnostics.tif",
    "shares": "shares.tif",
    "counts": "counts.tif",
    "distances": "distances.tif",
    "changes": "changes.tif",
    "quality": "quality.tif",
    "regions": "suspects.geojson",
    "scores": "scores.json",
    "picture": "diagnostics.png",
}
"""What may be written, by what it is; bands by the kind of file that they go to (raster.map_files)."""


def check_files(folder: Path, inputs: list[Path], *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, is an input or holds such files already, before anything is computed.

    Raises:
        BadOutput: it is so, or a file is there and may not be replaced.
    """
    from pm25map.base.files import check_output, check_output_folder, check_outputs

    check_output_folder(folder, inputs)
    if folder.is_dir():
        check_outputs([folder / name for name in FILES.values()], inputs, overwrite=overwrite)
    else:
        check_output(folder, overwrite=False)


def diagnose(inputs: "Inputs", day: dt.date, part: "Part", options: "Options") -> "Diagnosis":
    """Estimate a day, and in the same pass all that the model is calibrated for."""
    from pm25map.diagnostics.diagnose import diagnose_day
    from pm25map.diagnostics.quality import QualityBand
    from pm25map.diagnostics.trust import TRUST_BANDS, has_calibration

    trusted = TRUST_BANDS if has_calibration(inputs.model) else ()
    wanted = dataclasses.replace(inputs, bands=(*trusted, QualityBand()))
    return diagnose_day(wanted, day, part, options)


def write_files(
    folder: Path, found: "Diagnosis", inputs: "Inputs", day: dt.date, part: "Part", *, with_map: bool
) -> dict[str, Any]:
    """Write everything that was found into a folder, over what is there; give paths and scores.

    Args:
        folder: made where absent.
        found: of the day.
        inputs, day, part: what the map was made of.
        with_map: whether to write the estimate too.
    """
    from pm25map.diagnostics.quality import QUALITY, write_quality
    from pm25map.diagnostics.suspects import to_geojson
    from pm25map.raster.bands import PM25
    from pm25map.raster.cog import dataset_tags, statistics_of, write_whole
    from pm25map.raster.map_files import (
        MAP,
        UNIT_KINDS,
        contents_beside,
        map_contents,
        without_constant,
        write_together,
    )
    from pm25map.view.diagnostics import draw_diagnostics

    folder.mkdir(exist_ok=True)
    paths = {what: folder / name for what, name in FILES.items()}
    grid, made = inputs.grid, found.day_map
    provenance = inputs.provenance(day, folder.name, made.engine, part)
    provenance = dataclasses.replace(
        provenance, command=provenance.command.replace("pm25map predict", "pm25map diagnose", 1)
    )
    more = {**made.more, **found.bands}
    write_quality(paths["quality"], more.pop(QUALITY), grid, provenance, block=made.view, overwrite=True)
    asked = part.asked(grid)[made.view.slices]
    layers, constant = without_constant({PM25: made.pm25, **more})
    more = {band: values for band, values in layers.items() if band != PM25}
    tags = dataset_tags(grid, provenance, statistics_of(made.pm25, asked)) | constant
    contents = contents_beside(more, grid, made.view, tags)
    if with_map:
        contents |= map_contents(folder.name, made.pm25, grid, provenance, block=made.view, asked=asked)[0]
    rasters = {paths[kind]: content for kind, content in contents.items()}
    write_together(rasters, (path for what, path in paths.items() if what in (MAP, *UNIT_KINDS)))
    write_whole(paths["regions"], to_geojson(found.suspects, grid, made.view).encode())
    report = {
        "day": str(day),
        "model": inputs.model.card.name,
        "card_checksum": inputs.model.card.checksum,
        "grid": grid.name,
        "region": part.words,
        "neutral_place": found.neutral,
        "suspects": len(found.suspects),
        **found.scores,
    }
    write_whole(paths["scores"], (json.dumps(report, indent=1) + "\n").encode())
    draw_diagnostics(found, grid, day, paths["picture"], overwrite=True)
    written = {what: str(path) for what, path in paths.items() if path.is_file()}
    return written | {"band_count": len(more)} | report


def print_findings(
    found: "Diagnosis", inputs: "Inputs", day: dt.date, told: dict[str, Any], top: int
) -> None:
    """Print what was found, the worst suspects first."""
    from pm25map.diagnostics.trust import has_calibration

    cells, grid = found.day_map.cells, inputs.grid.name
    folder = Path(told["bands"]).parent
    click.echo(f"{folder}: {told['band_count']} bands beside PM2.5 of {day}, {cells:,} land cells of {grid}")
    if not has_calibration(inputs.model):
        click.echo(
            f"No intervals, no applicability: {inputs.model.card.name} is not calibrated (pm25map calibrate)"
        )
    click.echo(_summary(found.scores))
    for suspect in found.suspects[:top]:
        click.echo(f"{suspect.rank}. {suspect.words}")
    left = len(found.suspects) - top
    click.echo(f"{left} more in {told['regions']}" if left > 0 else f"Regions: {told['regions']}")
    click.echo(f"Picture: {told['picture']}")


def _summary(scores: dict[str, Any]) -> str:
    """Describe the whole map in one line."""
    faults = {name.replace("_", " "): found["count"] for name, found in scores["faults"].items()}
    words = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in faults.items() if count)
    text = f"Faults: {words or 'none'}"
    if "spectral_excess" in scores:
        text += (
            f". The place makes {scores['prior_ugm3_rms']:.1f} ug/m3 (root mean square) of the estimate; below "
            f"200 km its energy is {scores['spectral_excess']:.0%} of what predictors justify"
        )
    return text + "."

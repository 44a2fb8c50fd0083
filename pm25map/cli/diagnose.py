"""`pm25map diagnose`: what to doubt in the map of one day."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click

from pm25map.cli.options import DAY, LOCATION, open_for_maps, progress_bar


@click.command()
@click.option(
    "--date", "day", type=DAY, required=True, help="Day to estimate (AQS day, local standard time)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder to write to; made if absent."
)
@click.option("--model", "model_name", default="conus-open", show_default=True, help="Model: name or folder.")
@click.option("--grid", "grid_name", help="Grid: name or folder. Default: the model's.")
@click.option(
    "--predictors",
    type=LOCATION,
    help="Store of predictors: *.zarr, *.zarr.zip or s3://... Default: the sample that comes with the grid.",
)
@click.option(
    "--bbox", type=float, nargs=4, metavar="W S E N", help="Only this box, degrees: west south east north."
)
@click.option("--region", "region_name", help="Only a state or region: oregon, west-coast, OR ...")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Blocks at a time. Default: the cores.")
@click.option(
    "--top", type=click.IntRange(min=0), default=8, show_default=True, help="Suspects to print, worst first."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    day: dt.date,
    out: Path,
    model_name: str,
    grid_name: str | None,
    predictors: Any,
    bbox: tuple[float, float, float, float] | None,
    region_name: str | None,
    device: Any,
    workers: int | None,
    top: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict one day and look for what is wrong in its map.

    Written to the folder: diagnostics.tif, a Cloud-Optimized GeoTIFF of PM2.5 (ug/m3) with a band for each
    diagnostic; suspects.geojson, the suspect regions by rank, each with its area (km2) and reason;
    scores.json; quality.tif, bits that say what the predictors of each cell are worth; and diagnostics.png.
    Where the model was calibrated, the bands hold 90 % intervals (ug/m3), probabilities of exceeding the classes
    of the Air Quality Index, and applicability. Seams, stripes, flat patches and holes are faults; ripples and textures
    are made by the location encoder; priors are places where the place, not the day, makes the value.

    \b
    Try: pm25map diagnose --date 2020-09-12 --out doubts
    """  # noqa: D301 - click reads \b
    import dataclasses
    import os

    from pm25map.base.files import check_output
    from pm25map.diagnostics.diagnose import diagnose_day
    from pm25map.diagnostics.quality import QUALITY, QualityMask, write_quality
    from pm25map.diagnostics.suspects import to_geojson
    from pm25map.diagnostics.trust import has_calibration, trust_bands
    from pm25map.raster.cog import write_cog, write_whole
    from pm25map.raster.inputs import part_of
    from pm25map.view.diagnostics import draw_diagnostics

    names = ("diagnostics.tif", "suspects.geojson", "scores.json", "diagnostics.png", "quality.tif")
    cog, regions, scores, picture, quality = (out / name for name in names)
    check_output(out / "x", overwrite=True) if out.is_dir() else check_output(out, overwrite=False)
    for target in (cog, regions, scores, picture, quality) if out.is_dir() else ():
        check_output(target, overwrite=overwrite)
    inputs = open_for_maps(model_name, grid_name, predictors, [day])
    part = part_of(inputs.grid, bbox, region_name)
    trusted = trust_bands(inputs.model, inputs.grid) if has_calibration(inputs.model) else ()
    with progress_bar(f"PM2.5 of {day}") as progress:
        found = diagnose_day(
            inputs,
            day,
            part,
            device=device,
            workers=workers or os.cpu_count() or 1,
            extra=(*trusted, QualityMask(inputs.features, inputs.predictors, inputs.model.card.window_days)),
            progress=progress,
        )
    out.mkdir(exist_ok=True)
    grid, made = inputs.grid, found.made
    provenance = inputs.provenance(day, out.name, made.engine, part)
    provenance = dataclasses.replace(
        provenance, command=provenance.command.replace("pm25map predict", "pm25map diagnose", 1)
    )
    asked = part.asked(grid)[made.view.slices]
    more = {**made.more, **found.bands}
    write_quality(quality, more.pop(QUALITY), grid, provenance, block=made.view, overwrite=overwrite)
    write_cog(cog, made.pm25, grid, provenance, more=more, overwrite=overwrite, block=made.view, asked=asked)
    write_whole(regions, to_geojson(found.suspects, grid, made.view).encode())
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
    write_whole(scores, (json.dumps(report, indent=1) + "\n").encode())
    draw_diagnostics(found, grid, day, picture, overwrite=True)
    if as_json:
        files = {"map": str(cog), "quality": str(quality), "regions": str(regions)}
        files |= {"scores": str(scores), "picture": str(picture)}
        click.echo(json.dumps(files | report))
        return
    click.echo(
        f"{cog}: PM2.5 of {day} and {len(more)} bands beside it, {made.cells:,} land cells of {grid.name}"
    )
    if not trusted:
        click.echo(
            f"No intervals, no applicability: {inputs.model.card.name} is not calibrated (pm25map calibrate)"
        )
    click.echo(_summary(found.scores))
    for suspect in found.suspects[:top]:
        click.echo(f"{suspect.rank}. {suspect.words}")
    left = len(found.suspects) - top
    click.echo(f"{left} more in {regions}" if left > 0 else f"Regions: {regions}")
    click.echo(f"Picture: {picture}")


def _summary(scores: dict[str, Any]) -> str:
    """Say in one line what the whole map is like."""
    faults = {name.replace("_", " "): found["count"] for name, found in scores["faults"].items()}
    words = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in faults.items() if count)
    text = f"Faults: {words or 'none'}"
    if "spectral_excess" in scores:
        text += (
            f". The place makes {scores['prior_ugm3_rms']:.1f} ug/m3 (root mean square) of the estimate; below "
            f"200 km its energy is {scores['spectral_excess']:.0%} of what predictors justify"
        )
    return text + "."

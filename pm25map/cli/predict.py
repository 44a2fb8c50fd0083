"""`pm25map predict`: the map of one day."""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.one_day import MapOptions, one_day_options
from pm25map.cli.options import (
    FILE,
    MAP_DAY,
    band_option,
    bands_asked,
    engine_option,
    intervals_option,
    progress_bar,
    workers_option,
)
from pm25map.cli.words import Number

if TYPE_CHECKING:
    import xarray as xr

    from pm25map.raster.inputs import Inputs
    from pm25map.raster.provenance import Provenance


@click.command()
@click.option(
    "--date",
    "day",
    type=MAP_DAY,
    required=True,
    help="Day to estimate (AQS day, local standard time): YYYY-MM-DD, yesterday, today or -10d.",
)
@click.option(
    "--out",
    type=FILE,
    required=True,
    help="Map to write: a COG (.tif) or NetCDF (.nc), PM2.5 in ug/m3.",
)
@one_day_options
@click.option(
    "--place-smoothing",
    "smoothing_km",
    type=Number(min=0),
    default=0.0,
    show_default=True,
    metavar="KM",
    help="Average place vectors with a Gaussian of this standard deviation, km, against encoder artifacts; 0: off.",
)
@engine_option
@workers_option
@click.option("--preview", type=FILE, help="PNG to draw as well.")
@intervals_option
@band_option
@click.option(
    "--diagnostics",
    is_flag=True,
    help="Write beside the map, in NAME.diagnostics, what pm25map diagnose gives: intervals, artifacts, quality.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    day: dt.date,
    out: Path,
    asked: MapOptions,
    smoothing_km: float,
    engine: Any,
    workers: int | None,
    preview: Path | None,
    intervals: bool,
    bands: tuple[str, ...],
    diagnostics: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw the PM2.5 map of one day as a Cloud-Optimized GeoTIFF with a STAC item beside it, or as NetCDF.

    The GeoTIFF holds PM2.5 alone; further bands stand beside it, one unit a file: NAME.bands.tif (ug/m3),
    NAME.shares.tif, NAME.counts.tif. A style for QGIS is NAME.qml.

    A name that ends in .nc gets a netCDF-4 file that follows CF-1.11, concentrations in steps of 0.001 ug/m3; any
    other a GeoTIFF. Values are 24-hour means in ug/m3; NaN off land. Any day since 1999: the sample of the package has
    2020-09-05 to 2020-09-20; other days come from monitors, which are fetched where none are named. What was fetched
    and computed is kept in the cache.

    \b
    Try: pm25map predict --date 2020-09-12 --out cog.tif --preview cog.png
         pm25map predict --date 2018-11-16 --monitors daily_88101_2018.zip --out camp-fire.tif
    """  # noqa: D301 - click reads \b
    import dataclasses

    from pm25map.base.cores import usable_cores
    from pm25map.base.files import check_outputs
    from pm25map.cli.diagnosis import check_files, diagnose, print_findings, write_files
    from pm25map.model.calibrate import resolve_engine
    from pm25map.raster.estimator import Options
    from pm25map.raster.maps import maps_of, maps_with
    from pm25map.raster.netcdf import check_netcdf
    from pm25map.raster.predict import compute

    netcdf = out.suffix == ".nc"
    bands = bands_asked(bands, intervals=intervals)
    beside = bool(preview) or diagnostics
    _check_options(
        engine, smoothing_km, bands=bands, diagnostics=diagnostics, beside_netcdf=netcdf and beside
    )
    if netcdf:
        check_netcdf()
    written = (*_names(out, netcdf=netcdf), *((preview,) if preview else ()))
    check_outputs(written, asked.files_read(), overwrite=overwrite)
    doubts = out.with_suffix(".diagnostics")
    if diagnostics:
        check_files(doubts, asked.files_read(), overwrite=overwrite)
    part = asked.part()
    inputs = asked.open(day, bands=bands, smoothing_km=smoothing_km)
    workers = workers or usable_cores()
    with progress_bar(f"checking engine {engine}"):
        engine = resolve_engine(inputs.model, engine, sessions=workers)
    with progress_bar(f"PM2.5 of {day}") as progress:
        options = Options(asked.device, engine, workers, progress=progress)
        if diagnostics:
            found = diagnose(inputs, day, part, options)
            lazy = maps_with(found.day_map, inputs, day, part, options)
        else:
            lazy = maps_of(inputs, [day], part, options)
        maps = compute(lazy, workers)
    if netcdf:
        maps.pm25map.to_netcdf(out, overwrite=overwrite)
    else:
        maps.pm25map.to_cog(out, overwrite=overwrite)
        _write_beside(out, inputs, preview, overwrite=overwrite)
    # The folder of doubts has intervals whether they were asked for or not.
    plain = dataclasses.replace(inputs, bands=())
    doubted = write_files(doubts, found, plain, day, part, with_map=False) if diagnostics else None
    files = _files(out, preview, netcdf=netcdf) | ({"diagnostics": doubted} if doubted else {})
    _report(maps, files, inputs, as_json=as_json)
    if doubted and not as_json:
        print_findings(found, inputs, day, doubted, top=3)
    if preview and not as_json:
        click.echo(f"Picture: {preview}")


def _names(out: Path, *, netcdf: bool) -> tuple[Path, ...]:
    """Name every file that may be written for a map."""
    from pm25map.raster.item_checks import item_path
    from pm25map.raster.map_files import names_beside

    return (out,) if netcdf else (out, *names_beside(out), item_path(out))


def _files(out: Path, preview: Path | None, *, netcdf: bool) -> dict[str, Any]:
    """Name what was written, by what it is."""
    from pm25map.raster.item_checks import item_path
    from pm25map.raster.map_files import files_beside

    return {
        "map": str(out),
        "beside": {} if netcdf else {kind: str(file) for kind, file in files_beside(out).items()},
        "item": None if netcdf else str(item_path(out)),
        "preview": preview and str(preview),
    }


def _report(maps: "xr.Dataset", files: dict[str, Any], inputs: "Inputs", *, as_json: bool) -> None:
    """Print what was written, and what stands out in it."""
    from pm25map.raster.map_files import TITLES
    from pm25map.view.headline import headline

    (day,) = maps.pm25map.days
    engine, provider = maps.attrs["PM25MAP_ENGINE"], maps.attrs["PM25MAP_PROVIDER"]
    p = maps.pm25map.provenance(day, "map.tif")
    news = headline(maps["pm25"].values[0], inputs.grid, maps.pm25map.view, p.warnings)
    cells = int(maps["asked"].sum())
    if as_json:
        numbers = {"cells": cells, "maximum_ugm3": round(news.maximum, 1), "headline": news.text}
        numbers |= {"people_above_35.4_ugm3": news.people_above}
        numbers |= {"monitors": p.monitors, "window": p.window, "warnings": p.warnings}
        who = {"engine": engine, "provider": provider}
        click.echo(json.dumps(files | {"day": str(day)} | who | numbers))
        return
    click.echo(
        f"{files['map']}: PM2.5 of {day}, {cells:,} land cells of {inputs.grid.name}, {engine} on {provider}"
    )
    beside = [f"{file}: {TITLES[kind].lower()}" for kind, file in files["beside"].items()]
    lines = (*beside, news.maximum_text, news.text, news.people_text, _monitors_line(p))
    for line in filter(None, lines):
        click.echo(line)


def _monitors_line(provenance: "Provenance") -> str:
    """Describe the monitors that the map stands on; empty where they are not known."""
    if not provenance.monitors:
        return ""
    away = f"; a cell is {provenance.monitor_distance_km} km from the nearest (median)"
    return f"Monitors: {provenance.monitors}{away if provenance.monitor_distance_km else ''}"


def _check_options(
    engine: str, smoothing_km: float, *, bands: tuple[str, ...], diagnostics: bool, beside_netcdf: bool
) -> None:
    """Refuse options that do not go together, and a length that is none."""
    from pm25map.places.smooth import check_length
    from pm25map.raster.inputs import specs_of

    if smoothing_km:
        check_length(smoothing_km)
    if beside_netcdf:
        raise click.UsageError("--preview and --diagnostics go with a GeoTIFF: name --out NAME.tif")
    if diagnostics and (engine != "onnxruntime" or smoothing_km > 0):
        raise click.UsageError("--diagnostics goes with the stock engine and without --place-smoothing")
    if smoothing_km > 0 and any(spec.calibrated for spec in specs_of(bands)):
        raise click.UsageError("--intervals goes without --place-smoothing: plain places calibrated them")


def _write_beside(out: Path, inputs: "Inputs", preview: Path | None, *, overwrite: bool) -> None:
    """Draw the picture of a map where it is asked for, and write its STAC item."""
    from pm25map.raster.provenance import created_time
    from pm25map.raster.stac import write_stac_item

    if preview:
        from pm25map.view.preview import draw_preview  # matplotlib is slow to import

        draw_preview(out, preview, overwrite=overwrite)
    write_stac_item(
        out,
        created=created_time(),
        model_card=inputs.card_path,
        predictors=inputs.derived_from,
        preview=preview,
        overwrite=overwrite,
    )

"""`pm25map info`: what a map is, from the file alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE

if TYPE_CHECKING:
    from pm25map.raster.info import MapDescription
    from pm25map.raster.provenance import Provenance


@click.command()
@click.argument("cog", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(cog: Path, as_json: bool) -> None:
    """Show what the map COG is, which model, data and code made it, and which command makes it again.

    Everything comes from the file itself. Values are in ug/m3.

    \b
    Try: pm25map info cog.tif
    """  # noqa: D301 - click reads \b
    from pm25map.raster.info import describe_file
    from pm25map.raster.item_checks import check_map

    check_map(cog)
    found = describe_file(cog)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    for name, text in _lines(found):
        click.echo(f"{name:<12} {text}")


def _lines(found: "MapDescription") -> list[tuple[str, str]]:
    from pm25map.raster.map_files import files_beside

    p, s = found.provenance, found.statistics
    rows, cols = found.shape
    crs = found.crs if found.crs.startswith("EPSG") else found.crs.split('"')[1]
    kind = f"overviews {', '.join(f'1:{n}' for n in found.overviews)}" if found.overviews else "no overviews"
    step = f"{found.transform[0]:.10g} x {-found.transform[4]:.10g}"
    sums = f"card {p.card_checksum[:12]}, network {p.network_checksum[:12]}"
    place = f"{p.encoder} (weights {p.encoder_checksum[:12]}, store {p.places_checksum[:12]})"
    value = "PM2.5, 24-hour mean" if found.holds_estimate else ", ".join(band.name for band in found.bands)
    lines = [
        ("map", f"{found.title}"),
        ("day", f"{p.day.isoformat()} ({p.day_definition})"),
        ("value", f"{value}, {found.unit}; {found.dtype}, no data is {found.nodata}"),
        ("grid", f"{p.grid_name} (checksum {p.grid_checksum[:12]}), part: {p.region}"),
        (
            "cells",
            f"{rows} x {cols} of {step} on {crs}, {kind}",
        ),
        ("coverage", f"{s.coverage_percent:.2f} % of the land cells asked for ({s.cell_count:,} cells)"),
        *_statistics(found),
        *(("beside", file.name) for file in files_beside(found.path).values()),
        (
            "model",
            f"{p.model_name} {p.model_version} ({sums})",
        ),
        ("places", place if p.encoder_checksum else p.encoder),
        ("predictors", f"{p.predictors_name} (checksum {p.predictors_checksum[:12]})"),
        ("monitors", _monitors(p)),
        ("window", f"{p.window} days" if p.window else ""),
        ("beware", p.warnings),
        ("software", f"pm25map {p.software_version}, product version {p.product_version}"),
        ("index", p.aqi_edition),
        ("licence", p.licence),
        ("again", p.command),
    ]
    if p.predictor_coverage_percent is not None:
        share = f"{p.predictor_coverage_percent:.2f} % of the values in the windows were there"
        at = next(number for number, line in enumerate(lines) if line[0] == "predictors")
        lines.insert(at + 1, ("", share))
    return [line for line in lines if line[1]]


def _statistics(found: "MapDescription") -> list[tuple[str, str]]:
    """Sum up the bands that hold a value; the estimate, which comes first, needs no name."""
    lines = []
    for band in found.bands:
        name = "" if found.holds_estimate and band is found.bands[0] else f"{band.name}: "
        unit = {"ug m-3": " ug/m3", "1": ""}.get(band.unit, f" {band.unit}")
        digits = ".1f" if band.unit == "ug m-3" else ".3g"
        words = f"minimum {band.minimum:{digits}}, mean {band.mean:{digits}}, maximum {band.maximum:{digits}}{unit}"
        lines.append(("statistics", name + words))
    lines += [("", f"{name}: {value:g} in every cell") for name, value in found.constant_bands.items()]
    return lines


def _monitors(p: "Provenance") -> str:
    """Return which monitors the map stands on, and how far away they are; empty where the map does not say."""
    away = f"{p.monitor_distance_km} km from a cell (median)" if p.monitor_distance_km else ""
    return ", ".join(part for part in (p.monitors, away) if part)

"""`pm25map predict`: the map of one day."""

import datetime as dt
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.options import DAY, progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pm25map.grid import Block, Grid
    from pm25map.places.store import PlaceStore


@click.command()
@click.option(
    "--date", "day", type=DAY, required=True, help="Day to estimate (AQS day, local standard time)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Map to write: COG, PM2.5 in ug/m3."
)
@click.option("--model", "model_name", default="conus-open", show_default=True, help="Model: name or folder.")
@click.option("--grid", "grid_name", help="Grid: name or folder. Default: the model's.")
@click.option(
    "--predictors",
    type=click.Path(path_type=Path),
    help="Store of predictors: *.zarr or *.zarr.zip. Default: the sample that comes with the grid.",
)
@click.option(
    "--bbox", type=float, nargs=4, metavar="W S E N", help="Only this box, degrees: west south east north."
)
@click.option("--region", "region_name", help="Only a state or region: oregon, west-coast, OR ...")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Blocks at a time. Default: the cores.")
@click.option("--preview", type=click.Path(path_type=Path), help="PNG to draw as well.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    day: dt.date,
    out: Path,
    model_name: str,
    grid_name: str | None,
    predictors: Path | None,
    bbox: tuple[float, float, float, float] | None,
    region_name: str | None,
    device: Any,
    workers: int | None,
    preview: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw the PM2.5 map of one day as a Cloud-Optimized GeoTIFF, with a STAC item beside it.

    Values are 24-hour means in ug/m3; NaN off land. The embedded model and sample reach from 2020-09-05 to
    2020-09-20. Place vectors of a grid are computed once and kept.

    \b
    Try: pm25map predict --date 2020-09-12 --out cog.tif --preview cog.png
    """  # noqa: D301 - click reads \b
    import os

    from pm25map.base.errors import BadPredictors
    from pm25map.base.files import check_output
    from pm25map.model.card import CARD_FILE, load_model
    from pm25map.predictors.reader import open_predictors
    from pm25map.raster.cog import write_cog
    from pm25map.raster.predict import open_grid_of, predict_day, sample_of
    from pm25map.raster.provenance import Provenance, created_time
    from pm25map.raster.stac import item_path, write_stac_item
    from pm25map.view.headline import headline
    from pm25map.view.preview import draw_preview

    for target in (out, item_path(out), *([preview] if preview else [])):
        check_output(target, overwrite=overwrite)
    model = load_model(model_name)
    grid = open_grid_of(model, grid_name)
    store = predictors or sample_of(grid)
    if store is None:
        raise BadPredictors(
            f"no sample of predictors comes with grid {grid.name}: name a store with --predictors, "
            f"or make one with pm25map data ingest --grid {grid.name} --store predictors.zarr"
        )
    opened = open_predictors(store)
    view, region, where = _part(grid, bbox, region_name)
    opened.check(grid, model.card.scaler.features, _window(day, model.card.window_days))
    places = _places(model.card.place.encoder, grid)
    with progress_bar(f"PM2.5 of {day}") as progress:
        made = predict_day(
            model,
            grid,
            opened,
            places,
            day,
            view=view,
            region=region,
            device=device,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    card = model.card
    words = ["pm25map", "predict", "--date", str(day), "--out", out.name, "--model", card.name]
    words += ["--grid", grid.name] + (["--predictors", store.name] if predictors else [])
    words += (["--bbox", *(f"{v:g}" for v in bbox)] if bbox else []) + (
        ["--region", region_name] if region_name else []
    )
    provenance = Provenance(
        day=day,
        model_name=card.name,
        model_version=card.version,
        card_checksum=card.checksum,
        network_checksum=card.network_checksum,
        grid_name=grid.name,
        grid_checksum=grid.checksum,
        predictors_name=store.name,
        predictors_checksum=opened.checksum,
        command=shlex.join(words),
        licence="CC-BY-4.0",
        encoder=card.place.encoder,
        encoder_checksum=card.place.checksum or "",
        places_checksum=places.checksum if places else "",
        region=where,
    )
    asked = None if region is None else region[made.view.slices]
    statistics = write_cog(
        out, made.pm25, grid, provenance, overwrite=overwrite, block=made.view, asked=asked
    )
    if preview:
        draw_preview(out, preview, overwrite=overwrite)
    write_stac_item(
        out,
        created=created_time(),
        model_card=model.network.parent / CARD_FILE,
        predictors=store,
        preview=preview,
        overwrite=overwrite,
    )
    news = headline(made.pm25, grid, made.view)
    if as_json:
        found = {"map": str(out), "item": str(item_path(out)), "preview": str(preview) if preview else None}
        numbers = {"cells": made.cells, "maximum_ugm3": round(statistics.maximum, 1), "headline": news.text}
        click.echo(json.dumps(found | {"day": str(day), "provider": made.provider} | numbers))
        return
    click.echo(f"{out}: PM2.5 of {day}, {made.cells:,} land cells of {grid.name}, {made.provider}")
    click.echo(news.maximum_text)
    click.echo(news.text)
    if preview:
        click.echo(f"Picture: {preview}")


def _part(
    grid: "Grid", bbox: tuple[float, float, float, float] | None, region_name: str | None
) -> "tuple[Block | None, npt.NDArray[np.bool_] | None, str]":
    """Turn --bbox and --region into a view of the grid, a mask, and words for the provenance."""
    from pm25map.grid import cells_of_region

    view = grid.window_of_bounds(*bbox) if bbox else None
    region = cells_of_region(grid, region_name) if region_name else None
    words = [region_name] if region_name else []
    words += [" ".join(f"{value:g}" for value in bbox)] if bbox else []
    return view, region, " in ".join(words) or "all"


def _window(day: dt.date, length: int) -> list[dt.date]:
    from pm25map.base.days import window_of

    return window_of(day, length)


def _places(name: str, grid: "Grid") -> "PlaceStore | None":
    """Open the place store of a grid; build it at first use."""
    from pm25map.places.encoder import encoder
    from pm25map.places.store import default_store

    if name == "none":
        return None
    with progress_bar(f"embedding {grid.cell_count:,} cells, once") as progress:
        return default_store(grid, encoder(name), progress)

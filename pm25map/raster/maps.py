"""Maps as an xarray.Dataset that says what it is: CF attributes, coordinate reference system and provenance."""

import datetime as dt
import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.delayed import delayed
from pyproj import CRS

from pm25map.base.days import check_day, days_between, parse_day, today_of_maps
from pm25map.base.shipped import DEFAULT_MODEL
from pm25map.base.storage import Location, location
from pm25map.grid import Grid
from pm25map.model.card import load_model
from pm25map.raster.accessor import OF_A_DAY, OPTIONS
from pm25map.raster.bands import PM25, Band
from pm25map.raster.cog import CONVENTIONS
from pm25map.raster.day_source import DaySource, Steps, make_days_ready, windows_of
from pm25map.raster.estimator import Estimator, Options, SharedEstimator
from pm25map.raster.inputs import Inputs, open_grid_of, open_inputs, specs_of
from pm25map.raster.part import Box, Part, part_of
from pm25map.raster.predict import DayMap, compute, dataset_of, open_estimator
from pm25map.raster.provenance import PRODUCT, Provenance
from pm25map.raster.support import FAR_KM, distances_of, support_without_distances

_log = logging.getLogger(__name__)


def open_maps(
    start: str | dt.date,
    end: str | dt.date | None = None,
    *,
    region: str | Box | None = None,
    model: str = DEFAULT_MODEL,
    grid: str | None = None,
    predictors: str | Location | DaySource | None = None,
    bands: Sequence[str] = (),
    options: Options | None = None,
) -> xr.Dataset:
    """Open the maps of some days as a lazy dataset: nothing is estimated before a value is asked for.

    Args:
        start: first day, YYYY-MM-DD (AQS day, local standard time).
        end: last day, included; the first where None.
        region: name of a state or region ("oregon"), or a box (west, south, east, north) in degrees; all land where
            None.
        model: shipped name or folder.
        grid: shipped name or folder; the model's own where None.
        predictors: where the days come from: a store of predictors, a path or an address such as
            s3://bucket/store.zarr; or
            pm25map.DaySource(monitors=("daily_88101_2018.zip",)), whose fields are computed into the cache now. Where
            None, the sample of the grid if it has the days, else EPA's networks, whose files are fetched.
        bands: names of further bands: "intervals", "exceedance", "neutral_place".
        options: how to compute: device, engine, sizes of chunks.

    Returns:
        A variable (day, y, x), float32, for every band: pm25 (ug m-3) first; NaN off land and outside of the region.
        Coordinates: day, y, x (cell centres, metres), spatial_ref; the attributes follow CF-1.11 and say which model,
        grid, places and predictors the maps come from. The accessor `pm25map` writes it.

    Raises:
        Pm25mapError: a day, name or file is wrong; the message says which, and what to do.
    """
    import rioxarray  # noqa: F401, PLC0415 - gives datasets `.rio`; commands, which do without, need not wait for it

    first = parse_day(start) if isinstance(start, str) else start
    last = first if end is None else parse_day(end) if isinstance(end, str) else end
    days = days_between(first, last)
    today = today_of_maps()
    for day in days:
        check_day(day, today)
    inputs = open_inputs(
        model, grid, _ready(predictors, model, grid, days, today), days=days, bands=specs_of(bands)
    )
    box = None if region is None or isinstance(region, str) else region
    name = region if isinstance(region, str) else None
    return maps_of(inputs, days, part_of(inputs.grid, box, name), options)


def predict(day: str | dt.date, **how: Any) -> xr.Dataset:
    """Estimate the map of one day with threads of this process: `open_maps`, computed.

    Args:
        day: to estimate, YYYY-MM-DD (AQS day, local standard time).
        how: region, model, grid, predictors, bands, options, as `open_maps`.
    """
    options = how.get("options") or Options()
    return compute(open_maps(day, **how), options.workers)


def _ready(
    predictors: str | Location | DaySource | None,
    model: str,
    grid: str | None,
    days: list[dt.date],
    today: dt.date,
) -> DaySource:
    """Make the days of a Python call ready; what is fetched is said in a warning of the log."""
    if isinstance(predictors, DaySource):
        source = predictors
    else:
        source = DaySource(location(predictors) if isinstance(predictors, str) else predictors)
    opened = load_model(model)
    windows = windows_of(days, opened.card.window_days)
    where = open_grid_of(opened, grid)
    ready = make_days_ready(
        source, where, opened.card.scaler.features, windows, today, steps=Steps(announce=_log.warning)
    )
    return ready.source


def maps_of(
    inputs: Inputs, days: Sequence[dt.date], part: Part | None = None, options: Options | None = None
) -> xr.Dataset:
    """Return the lazy dataset of `predict_days` with all that says what it is; arguments and errors as there."""
    estimator = open_estimator(inputs, days, part, options)
    maps = dataset_of(estimator, tuple(days))
    return described(maps, estimator, list(days))


def maps_with(made: DayMap, inputs: Inputs, day: dt.date, part: Part, options: Options) -> xr.Dataset:
    """Return the dataset of a day that was estimated already, of it the bands that these inputs ask for.

    Args:
        made: by the model of the inputs, with their bands and perhaps more.
        inputs, day, part, options: as `maps_of`.
    """
    estimator = open_estimator(inputs, [day], part, options)
    return with_layers(estimator, day, {PM25: made.pm25, **made.more})


def described(maps: xr.Dataset, estimator: Estimator, days: list[dt.date]) -> xr.Dataset:
    """Add the coordinates and attributes that say what the maps are."""
    inputs, view = estimator.inputs, estimator.view
    engine = estimator.session().engine
    sums = [inputs.predictors.window_checksum(inputs.features, inputs.window(day)) for day in days]
    start = maps["day"].values
    maps = maps.assign_coords(
        spatial_ref=((), 0, _grid_mapping(inputs.grid, maps)),
        asked=(("y", "x"), estimator.asked[view.slices], _ASKED),
        predictors_sha256=("day", np.array(sums), _SUMS),
        **_support(estimator, days),
        day_bnds=(("day", "nv"), np.stack([start, start + np.timedelta64(1, "D")], axis=1)),
    )
    maps["day"].attrs = dict(_DAY)
    maps["day"].encoding = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int32"}
    for axis in ("x", "y"):
        maps[axis].attrs = {
            "standard_name": f"projection_{axis}_coordinate",
            "axis": axis.upper(),
            "units": "m",
        }
    for band in estimator.bands:
        maps[band.name].encoding["grid_mapping"] = "spatial_ref"
    others = [band.name for band in estimator.bands if band is not PM25]
    if others:
        maps[PM25.name].attrs["ancillary_variables"] = " ".join(others)
    maps.attrs = _attributes(estimator, days, engine)
    return maps


def _support(estimator: Estimator, days: list[dt.date]) -> dict[str, Any]:
    """Return what every day stands on: monitors and days of the window now, distances when they are asked for."""
    inputs = estimator.inputs
    known = [support_without_distances(inputs.predictors, day, inputs.window(day)) for day in days]
    shared = SharedEstimator(estimator)
    # In chunks as the maps have them: a dataset has one chunking of its days.
    size = estimator.options.chunk_days
    runs = [tuple(days[i : i + size]) for i in range(0, len(days), size)]
    distances = da.concatenate(  # type: ignore[no-untyped-call]
        [da.from_delayed(delayed(_distances)(shared, run), (len(run), 2), np.float64) for run in runs]  # type: ignore[no-untyped-call]
    )  # (day, 2)
    return {
        "monitors": ("day", np.array([one.monitors_text for one in known]), _MONITORS),
        "monitor_count": (
            "day",
            np.array([-1 if one.count is None else one.count for one in known], dtype=np.int32),
            _COUNT,
        ),
        "window_days_present": (
            "day",
            np.array([one.days_present for one in known], dtype=np.int32),
            {**_WINDOW, "window_days": known[0].window_days},
        ),
        "monitor_distance": ("day", distances[:, 0], _DISTANCE),
        "monitor_far_share": ("day", distances[:, 1], _FAR),
    }


def _distances(shared: SharedEstimator, days: tuple[dt.date, ...]) -> npt.NDArray[np.float64]:
    """Return the median distance to a monitor, km, and the share of far cells of some days: float64 (day, 2)."""
    estimator = shared.get()
    return np.array([distances_of(estimator.inputs.predictors, day, estimator.asked) for day in days])


_MONITORS = {"long_name": "monitors that measured on the day, by network and parameter"}
_COUNT = {"long_name": "number of monitors that measured on the day; -1 where it is unknown", "units": "1"}
_WINDOW = {"long_name": "days of the window that were there", "units": "1"}
_DISTANCE = {"long_name": "median distance of the estimated cells to the nearest monitor", "units": "km"}
_FAR = {"long_name": f"share of the estimated cells over {FAR_KM:g} km from a monitor", "units": "1"}
_ASKED = {"long_name": "cells that are estimated: land of the region that was asked for"}
_SUMS = {"long_name": "SHA-256 of the predictors in the window of the day"}
_DAY = {
    "standard_name": "time",
    "long_name": "AQS day, local standard time",
    "axis": "T",
    "bounds": "day_bnds",
}


def _grid_mapping(grid: Grid, maps: xr.Dataset) -> dict[str, Any]:
    """Return where the cells are, in CF's words and in those of GDAL and rioxarray."""
    crs = CRS.from_user_input(grid.crs)
    a, b, _, d, e, _ = grid.transform
    left, top = float(maps["x"][0]) - a / 2, float(maps["y"][0]) - e / 2
    return {
        **crs.to_cf(),
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(repr(number) for number in (left, a, b, top, d, e)),
    }


def _attributes(estimator: Estimator, days: list[dt.date], engine: str) -> dict[str, str]:
    """Return what the maps are, where they come from and how to make them again."""
    inputs, part = estimator.inputs, estimator.part
    p: Provenance = inputs.provenance(days[0], "map.tif", engine, part)
    words = inputs.words(engine, part)
    period = ["--start", str(days[0]), "--end", str(days[-1]), "--out", "maps"]
    command = p.command if len(days) == 1 else shlex.join(["pm25map", "backfill", *period, *words])
    when = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    tags = {name: value for name, value in p.to_tags().items() if name not in OF_A_DAY and value}
    return {
        "Conventions": CONVENTIONS,
        "title": p.title if len(days) == 1 else f"{PRODUCT}, {when}, {p.grid_name}",
        "source": p.source,
        "history": f"pm25map {p.software_version}: {command}",
        "references": p.references,
        "license": p.licence,
        "comment": p.comment,
        **tags,
        OPTIONS: shlex.join(words),
        "PM25MAP_PROVIDER": estimator.session().provider,
        "PM25MAP_GRID_CRS": inputs.grid.crs,
        "PM25MAP_GRID_SHAPE": "{} {}".format(*inputs.grid.shape),
        "PM25MAP_GRID_TRANSFORM": " ".join(repr(number) for number in inputs.grid.transform),
    }


def with_layers(
    estimator: Estimator, day: dt.date, layers: Mapping[Band, npt.NDArray[np.float32]]
) -> xr.Dataset:
    """Return the dataset of a day whose bands are there: float32 (y, x) of the estimator's view each."""
    maps = dataset_of(estimator, (day,))
    known = {band.name: maps[band.name].copy(data=layers[band][np.newaxis]) for band in estimator.bands}
    return described(maps.assign(known), estimator, [day])

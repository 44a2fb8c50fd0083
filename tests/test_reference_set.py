"""From files of providers to a map with the reference predictors, on 3 x 3 degrees of 1 km, by the commands alone."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

torch = pytest.importorskip("torch")

import model_world  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from provider_files import (  # noqa: E402
    BEST,
    CLOUDY,
    daymet_axes,
    tile_lonlat,
    write_daymet,
    write_gmted,
    write_gridmet,
    write_hms,
    write_maiac,
    write_nbar,
)

from pm25map.base.days import window_of  # noqa: E402
from pm25map.cli.main import cli  # noqa: E402
from pm25map.grid import Block, build_grid, save_grid  # noqa: E402
from pm25map.model.export import export_model  # noqa: E402
from pm25map.model.places import place_vectors  # noqa: E402
from pm25map.model.train import Trained, build_network  # noqa: E402
from pm25map.predictors.reader import open_predictors  # noqa: E402
from pm25map.predictors.variables import REFERENCE_SET, variable  # noqa: E402
from pm25map.windows.scaler import fit_scaler  # noqa: E402

DAY = dt.date(2020, 9, 12)
WINDOW = window_of(DAY)
BOX = (-121.0, 36.0, -118.0, 39.0)
TILE = (8, 5)
FILE_SOURCES = ("maiac", "ndvi", "daymet", "gridmet", "gmted", "hms")
DAYMET = {"dayl": "s", "prcp": "mm/day", "srad": "W/m2", "tmax": "degrees C", "tmin": "degrees C", "vp": "Pa"}


def write_files(folder, grid):
    """Write what a user would have fetched: every file spells longitude, latitude and day."""
    lon, lat = tile_lonlat(TILE, 300)
    for number, day in enumerate(WINDOW):
        aod = np.stack([0.1 + 0.01 * number + (lat - 36) / 20, np.full(lat.shape, 2.0)])
        quality = np.stack([np.full(lat.shape, BEST), np.full(lat.shape, CLOUDY)])
        write_maiac(folder / "maiac", day, TILE, aod, aod * 0.7, quality)
        plumes = [(shapely.box(-121.5, 35.5, -120 + 0.05 * number, 38), "Medium")] if number % 3 else []
        write_hms(folder / "hms", day, plumes)
    for day in (WINDOW[0] - dt.timedelta(days=4), WINDOW[0] + dt.timedelta(days=12)):
        red = np.full(lat.shape, 0.1)
        write_nbar(folder / "ndvi", day, TILE, red, red + (lat - 30) / 100, np.zeros(lat.shape))
    x, y = daymet_axes(grid)
    base = np.add.outer(np.linspace(0, 1, len(y)), np.linspace(0, 1, len(x)))
    for name, units in DAYMET.items():
        values = [1 + base + number / 10 for number in range(len(WINDOW))]
        write_daymet(folder / "daymet", name, 2020, x, y, values, WINDOW, units)
    lon, lat = np.arange(-123, -116, 1 / 24), np.arange(41, 34, -1 / 24)
    field = np.broadcast_to(np.linspace(5, 9, len(lat))[:, None], (len(WINDOW), len(lat), len(lon)))
    write_gridmet(folder / "gridmet", "vs", 2020, lon, lat, field, WINDOW)
    write_gridmet(folder / "gridmet", "th", 2020, lon, lat, field * 30, WINDOW)
    lon, lat = np.arange(-122, -117, 1 / 120) + 1 / 240, np.arange(40, 35, -1 / 120) - 1 / 240
    heights = np.add.outer((lat - 35) * 100, (lon + 122) * 50)
    write_gmted(folder / "gmted" / "30N150W_20101117_gmted_mea300.tif", lon, lat, heights)


def write_monitors(folder):
    rng = np.random.default_rng(1)
    names = [f"06-{i:03d}-0001" for i in range(14)]
    sites = pd.DataFrame(
        {"site_id": names, "latitude": rng.uniform(35, 40, 14), "longitude": rng.uniform(-122, -117, 14)}
    )
    rows = [(name, day) for name in names for day in WINDOW]
    observed = pd.DataFrame(rows, columns=["site_id", "date"])
    observed["date"] = pd.to_datetime(observed["date"])
    observed["pm25_ugm3"] = rng.gamma(2, 6, len(observed)).astype(np.float32)
    observed["parameter_code"] = 88101
    folder.mkdir()
    sites.to_parquet(folder / "sites.parquet")
    observed.to_parquet(folder / "pm25_daily.parquet")


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    return result.exit_code, result.stdout


def write_model(folder, grid, store):
    """Export a network of the reference features that was never trained: only its numbers' path is tested."""
    days, block = list(WINDOW), Block(96, 96, 32, 32)
    values = open_predictors(store).read(REFERENCE_SET, days, block).transpose(2, 3, 0, 1)
    values = values[grid.land[block.slices]]
    units = tuple(variable(name).units for name in REFERENCE_SET)
    indicators = tuple(name for name in REFERENCE_SET if variable(name).filling == "indicator")
    scaler = fit_scaler(values, REFERENCE_SET, units, indicators)
    config = model_world.config(
        features=REFERENCE_SET,
        indicators=indicators,
        geolocation="sincos",
        window_days=21,
        network=model_world.TINY.model_copy(update={"head": "plain"}),
    )
    torch.manual_seed(0)
    network = build_network(config.network, scaler, "sincos", 4, 9.0).eval()
    places, about = place_vectors("sincos", np.linspace(36, 39, 40), np.linspace(-121, -118, 40))
    trained = Trained(network, scaler, 9.0, (), 1, 1)
    handed = model_world.handover(trained, config, about, grid.name, grid.checksum)
    export_model(network, handed.draft_card("1"), scaler.apply(values[:40]), places, folder)


@pytest.mark.torch
@pytest.mark.slow
def test_the_reference_set_comes_from_files_to_a_map(tmp_path):
    grid = build_grid("sierra-1km", "EPSG:5070", 1000.0, shapely.box(*BOX))
    assert grid.cell_count > 80_000
    save_grid(grid, tmp_path / "grid")
    write_files(tmp_path, grid)
    write_monitors(tmp_path / "aqs")
    store = tmp_path / "reference.zarr"
    common = ("--grid", tmp_path / "grid", "--store", store, "--start", WINDOW[0], "--end", DAY)
    for source in FILE_SOURCES:
        code, text = run("data", "ingest", "--source", source, "--files", tmp_path / source, *common)
        assert code == 0, text
    code, text = run(
        "data", "ingest", "--source", "knnidw", "--monitors", tmp_path / "aqs", *common, "--json"
    )
    assert json.loads(text)["days"] == 21
    wanted = [word for source in (*FILE_SOURCES, "knnidw") for word in ("--source", source)]
    code, text = run("data", "status", "--store", store, "--start", WINDOW[0], "--end", DAY, *wanted)
    assert code == 0, text
    assert f"21 of 21 days are whole from {WINDOW[0]} to {DAY}" in text
    assert run("data", "verify", "--store", store)[0] == 0

    held = open_predictors(store)
    values = held.read(("aod_047", "daymet_lat", "dem", "gridmet_th"), [DAY], Block(100, 100, 40, 40))[0]
    lon, lat = grid.lonlat(Block(100, 100, 40, 40))
    lon, lat = lon.reshape(40, 40), lat.reshape(40, 40)
    np.testing.assert_allclose(values[0], 0.3 + (lat - 36) / 20, atol=2e-3)
    np.testing.assert_allclose(values[1], lat, atol=1e-3)
    np.testing.assert_allclose(values[2], (lat - 35) * 100 + (lon + 122) * 50, atol=1.5)
    assert np.isfinite(values).all()

    write_model(tmp_path / "model", grid, store)
    code, text = run(
        *("predict", "--date", DAY, "--model", tmp_path / "model", "--grid", tmp_path / "grid"),
        *("--predictors", store, "--out", tmp_path / "map.tif", "--device", "cpu"),
    )
    assert code == 0, text
    with rasterio.open(tmp_path / "map.tif") as written:
        drawn = written.read(1)
    assert np.isfinite(drawn[grid.land]).all()
    assert np.isnan(drawn[~grid.land]).all()

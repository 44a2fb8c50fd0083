"""From files of providers to a map with the reference predictors, by the commands alone.

On 3 x 3 degrees of 1 km, and on conus-10km by the very commands of docs/providers.md.
"""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import rasterio
import shapely

torch = pytest.importorskip("torch")

import model_world  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402
from predictor_world import REFERENCE_SET  # noqa: E402
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
from pm25map.grid import Block, Grid, build_grid, load_grid, save_grid  # noqa: E402
from pm25map.model.export import OPSET, write_network  # noqa: E402
from pm25map.model.places import place_vectors  # noqa: E402
from pm25map.model.train import TrainedNetwork  # noqa: E402
from pm25map.predictors.reader import open_predictors  # noqa: E402
from pm25map.predictors.sources.modis import tiles_of  # noqa: E402
from pm25map.predictors.variables import variable  # noqa: E402
from pm25map.windows.scaler import fit_scaler  # noqa: E402

DAY = dt.date(2020, 9, 12)
WINDOW = window_of(DAY)
DOCS = Path(__file__).parents[1] / "docs" / "providers.md"
FILE_SOURCES = ("maiac", "ndvi", "daymet", "gridmet", "gmted", "hms")
DAYMET = {"dayl": "s", "prcp": "mm/day", "srad": "W/m2", "tmax": "degrees C", "tmin": "degrees C", "vp": "Pa"}


@dataclass(frozen=True)
class Place:
    """Where the invented files lie, and how fine they are.

    Attributes:
        grid: that they are brought to.
        tile_side: pixels of a MODIS tile along one side.
        daymet_m, degrees, gmted_degrees: cell sizes of Daymet, gridMET and GMTED2010.
        block: where the store's values are looked at.
    """

    grid: Grid
    tile_side: int
    daymet_m: float
    degrees: float
    gmted_degrees: float
    block: Block

    def axes(self, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Give longitudes and latitudes, north first, that lie around the grid."""
        lon, lat = self.grid.lonlat()
        west, north = np.floor(lon.min()) - 1, np.ceil(lat.max()) + 1
        across, down = np.ceil(lon.max()) + 1 - west, north - np.floor(lat.min()) + 1
        return west + (np.arange(across / step) + 0.5) * step, north - (np.arange(down / step) + 0.5) * step


def sierra():
    box = shapely.box(-121.0, 36.0, -118.0, 39.0)
    grid = build_grid("sierra-1km", "EPSG:5070", 1000.0, box)
    assert grid.cell_count > 80_000
    return Place(grid, 300, 1000.0, 1 / 24, 1 / 120, Block(100, 100, 40, 40))


def conus():
    return Place(load_grid("conus-10km"), 60, 20_000.0, 0.5, 0.1, Block(120, 120, 40, 40))


def write_files(folder, place):
    """Write what a user would have fetched: every file spells longitude, latitude and day."""
    for tile in tiles_of(place.grid):
        lon, lat = tile_lonlat(tile, place.tile_side)
        # Of tiles that reach over the edge of the sphere the corners are nowhere.
        lat = np.where(np.isfinite(lat), lat, 0)
        quality = np.stack([np.full(lat.shape, BEST), np.full(lat.shape, CLOUDY)])
        for number, day in enumerate(WINDOW):
            aod = np.stack([0.1 + 0.01 * number + (lat - 20) / 40, np.full(lat.shape, 2.0)])
            write_maiac(folder / "maiac", day, tile, aod, aod * 0.7, quality)
        for day in (WINDOW[0] - dt.timedelta(days=4), WINDOW[0] + dt.timedelta(days=12)):
            red = np.full(lat.shape, 0.1)
            write_nbar(folder / "ndvi", day, tile, red, red + lat / 200, np.zeros(lat.shape))
    for number, day in enumerate(WINDOW):
        plumes = [(shapely.box(-121.5, 35.5, -120 + 0.05 * number, 38), "Medium")] if number % 3 else []
        write_hms(folder / "hms", day, plumes)
    x, y = daymet_axes(place.grid, place.daymet_m)
    base = np.add.outer(np.linspace(0, 1, len(y)), np.linspace(0, 1, len(x)))
    for name, units in DAYMET.items():
        values = [1 + base + number / 10 for number in range(len(WINDOW))]
        write_daymet(folder / "daymet", name, 2020, x, y, values, WINDOW, units)
    lon, lat = place.axes(place.degrees)
    field = np.broadcast_to(np.linspace(5, 9, len(lat))[:, None], (len(WINDOW), len(lat), len(lon)))
    write_gridmet(folder / "gridmet", "vs", 2020, lon, lat, field, WINDOW)
    write_gridmet(folder / "gridmet", "th", 2020, lon, lat, field * 30, WINDOW)
    lon, lat = place.axes(place.gmted_degrees)
    heights = np.add.outer((lat - 20) * 50, (lon + 130) * 20)
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


def window_at(store, block, grid):
    """Read the reference predictors of the land cells of a block: (cell, day, feature)."""
    values = open_predictors(store).read(REFERENCE_SET, list(WINDOW), block).transpose(2, 3, 0, 1)
    return values[grid.land[block.slices]]


def write_model(folder, place, store):
    """Write a network of the reference features with a known answer: tenths of what all inputs and places weigh.

    Returns:
        What it gives for (cell, day, feature) and places, worked out without the network.
    """
    values = window_at(store, place.block, place.grid)
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
    _, about = place_vectors("sincos", np.zeros(1), np.zeros(1))
    trained = TrainedNetwork(None, scaler, 9.0, (), 1, 1)
    metadata = model_world.run_metadata(trained, config, about, place.grid.name, place.grid.checksum)
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.1, (21, len(scaler.inputs))).astype(np.float32)
    spot = rng.normal(0, 0.1, 4).astype(np.float32)
    held = {"weights": weights, "spot": spot[:, None], "days": np.array([1, 2]), "one": np.array([1])}
    nodes = [
        helper.make_node("Mul", ["window", "weights"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "days"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["place", "spot"], ["tall"]),
        helper.make_node("Squeeze", ["tall", "one"], ["there"]),
        helper.make_node("Add", ["sum", "there"], ["both"]),
        helper.make_node("Softplus", ["both"], ["pm25"]),
    ]
    tensor, kind = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "weighed",
        [tensor("window", kind, ["cells", *weights.shape]), tensor("place", kind, ["cells", 4])],
        [tensor("pm25", kind, ["cells"])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    folder.mkdir()
    network = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    write_network(network, metadata.draft_card("1").model_copy(update={"opset": OPSET}), folder)

    def answer(values, lat, lon):
        places, _ = place_vectors("sincos", lat, lon)
        return np.logaddexp(0, (scaler.apply(values) * weights).sum((1, 2)) + places @ spot)

    return answer


def check_map(folder, place, store, grid_words=()):
    """Predict by command, and compare a block of the map with what its network must give there."""
    answer = write_model(folder / "model", place, store)
    code, text = run(
        *("predict", "--date", DAY, "--model", folder / "model", *grid_words),
        *("--predictors", store, "--out", folder / "map.tif", "--device", "cpu"),
    )
    assert code == 0, text
    with rasterio.open(folder / "map.tif") as written:
        drawn = written.read(1)
    assert np.isfinite(drawn[place.grid.land]).all()
    assert np.isnan(drawn[~place.grid.land]).all()
    expected = answer(window_at(store, place.block, place.grid), *place.grid.lonlat(place.block)[::-1])
    found = drawn[place.block.slices][place.grid.land[place.block.slices]]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert np.ptp(found) > 0.1


@pytest.mark.torch
@pytest.mark.slow
def test_the_reference_set_comes_from_files_to_a_map(tmp_path):
    place = sierra()
    grid = place.grid
    save_grid(grid, tmp_path / "grid")
    write_files(tmp_path, place)
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
    values = held.read(("aod_047", "daymet_lat", "dem", "gridmet_th"), [DAY], place.block)[0]
    lon, lat = (axis.reshape(40, 40) for axis in grid.lonlat(place.block))
    np.testing.assert_allclose(values[0], 0.3 + (lat - 20) / 40, atol=2e-3)
    np.testing.assert_allclose(values[1], lat, atol=1e-3)
    np.testing.assert_allclose(values[2], (lat - 20) * 50 + (lon + 130) * 20, atol=1.5)
    assert np.isfinite(values).all()
    check_map(tmp_path, place, store, ("--grid", tmp_path / "grid"))


@pytest.mark.torch
@pytest.mark.slow
def test_the_commands_of_the_documents_fill_a_window_of_conus(tmp_path, monkeypatch):
    place = conus()
    write_files(tmp_path, place)
    write_monitors(tmp_path / "aqs")
    monkeypatch.chdir(tmp_path)
    blocks = [part.split("```")[0] for part in DOCS.read_text().split("```console\n")[1:]]
    (block,) = (part for part in blocks if "data ingest --source maiac" in part)
    lines = [line.removeprefix("pm25map ").split() for line in block.strip().splitlines()]
    told = [run(*line) for line in lines]
    assert [code for code, _ in told] == [0] * len(lines), told
    assert [line[1] for line in lines] == ["ingest"] * 7 + ["status", "verify"]
    assert f"21 of 21 days are whole from {WINDOW[0]} to {DAY}" in told[7][1]
    check_map(tmp_path, place, Path("reference.zarr"))

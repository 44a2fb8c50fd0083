"""From granules of optical depth, with a place that clouds always hide, to the quality mask of a map, by commands."""

import datetime as dt
import json

import numpy as np
import pytest
import rasterio
import shapely

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("onnx")

import model_world  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from provider_files import (  # noqa: E402
    BEST,
    CLOUDY,
    tile_lonlat,
    write_gmted,
    write_gridmet,
    write_maiac,
)

from pm25map.cli.main import cli  # noqa: E402
from pm25map.grid import Block, build_grid, save_grid  # noqa: E402
from pm25map.model.export import export_model  # noqa: E402
from pm25map.model.places import place_vectors  # noqa: E402
from pm25map.model.train import TrainedNetwork, build_network  # noqa: E402
from pm25map.places.catalogue import encoder  # noqa: E402
from pm25map.places.store import embed_grid  # noqa: E402
from pm25map.predictors.quality import Quality  # noqa: E402
from pm25map.predictors.reader import open_predictors  # noqa: E402
from pm25map.predictors.variables import variable  # noqa: E402
from pm25map.windows.scaler import fit_scaler  # noqa: E402

DAYS = [dt.date(2020, 8, 23) + dt.timedelta(days=i) for i in range(22)]
ABSENT = DAYS[21]
"""No granule; the day before is carried."""
TILE = (8, 5)
BOX = (-121.0, 36.0, -118.0, 39.0)
HIDDEN, HALF = -120.0, -119.0
"""West of the first, clouds hide every day; between the two every other day, as the last that has a granule."""
FEATURES = ("aod_055_filled", "aod_055_filled_flag", "dem")


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def write_files(folder):
    lon, lat = tile_lonlat(TILE, 300)
    for number, day in enumerate(DAYS[:21]):
        cloudy = (lon < HIDDEN) | ((lon < HALF) & (number % 2 == 0))
        aod = (0.2 + (lat - 36) / 20 + 0.01 * number)[np.newaxis]
        write_maiac(folder / "maiac", day, TILE, aod, aod * 0.7, np.where(cloudy, CLOUDY, BEST)[np.newaxis])
    lon, lat = np.arange(-123, -116, 1 / 24), np.arange(41, 34, -1 / 24)
    wind = np.broadcast_to(np.linspace(5, 9, len(lat))[:, None], (len(DAYS), len(lat), len(lon)))
    for short, values in (("vs", wind), ("th", wind * 30)):
        write_gridmet(folder / "gridmet", short, 2020, lon, lat, values, DAYS)
    lon, lat = np.arange(-122, -117, 1 / 60) + 1 / 120, np.arange(40, 35, -1 / 60) - 1 / 120
    heights = np.add.outer((lat - 35) * 100, (lon + 122) * 50)
    write_gmted(folder / "gmted" / "30N150W_20101117_gmted_mea300.tif", lon, lat, heights)


def write_model(folder, grid, store):
    """Export a network that was never trained and reads the filled values and their flags."""
    values = open_predictors(store).read(FEATURES, DAYS[:21], Block(0, 0, *grid.shape))
    values = values.transpose(2, 3, 0, 1)[grid.land]
    scaler = fit_scaler(values, FEATURES, tuple(variable(name).units for name in FEATURES), FEATURES[:1])
    config = model_world.config(
        features=FEATURES, indicators=FEATURES[:1], geolocation="sincos", window_days=21,
        network=model_world.TINY.model_copy(update={"head": "plain"}),
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_network(config.network, scaler, "sincos", 4, 9.0).eval()
    places, about = place_vectors("sincos", np.linspace(36, 39, 40), np.linspace(-121, -118, 40))
    metadata = model_world.run_metadata(
        TrainedNetwork(network, scaler, 9.0, (), 1, 1), config, about, grid.name, grid.checksum
    )
    export_model(network, metadata.draft_card("1"), scaler.apply(values[:40]), places, folder)


@pytest.mark.torch
@pytest.mark.slow
def test_flags_reach_the_quality_mask_of_a_map_from_granules(tmp_path):
    grid = build_grid("sierra-10km", "EPSG:5070", 10_000.0, shapely.box(*BOX))
    save_grid(grid, tmp_path / "grid")
    write_files(tmp_path)
    store = tmp_path / "reference.zarr"
    dates = ("--start", DAYS[0], "--end", ABSENT)
    for source in ("maiac", "gridmet", "gmted"):
        words = ("--source", source, "--files", tmp_path / source, "--grid", tmp_path / "grid", *dates)
        CliRunner().invoke(cli, [str(word) for word in ("data", "ingest", "--store", store, *words)])
    learn = ("--variable", "aod_055", "--trees", 20, "--samples", 4000, "--out", tmp_path / "impute")
    run("data", "impute", "train", "--store", store, "--start", DAYS[0], "--end", DAYS[20], *learn)
    told = run("data", "impute", "apply", "--store", store, "--model", tmp_path / "impute", *dates, "--json")
    assert json.loads(told)["days"] == 22 and not json.loads(told)["lacking"]

    write_model(tmp_path / "model", grid, store)
    embed_grid(grid, encoder("sincos"), tmp_path / "places.zarr")
    lon, _ = grid.lonlat(Block(0, 0, *grid.shape))
    where = np.select([lon < HIDDEN - 0.15, abs(lon - HIDDEN) < 0.15, lon < HALF - 0.15, lon > HALF + 0.15],
                      ["west", "", "middle", "east"], "")  # fmt: skip
    seen, imputed, carried = Quality.OBSERVED, Quality.IMPUTED, Quality.CARRIED_FORWARD
    wanted = {
        DAYS[20]: {"west": imputed, "middle": seen | imputed, "east": seen},
        ABSENT: {"west": imputed | carried, "middle": seen | imputed | carried, "east": seen | carried},
    }
    for day, of_strips in wanted.items():
        out = tmp_path / str(day)
        run("diagnose", "--date", day, "--out", out, "--model", tmp_path / "model", "--grid",
            tmp_path / "grid", "--predictors", store)  # fmt: skip
        with rasterio.open(out / "quality.tif") as source:
            mask = source.read(1)[grid.land]
        for strip, bits in of_strips.items():
            assert set(np.unique(mask[where == strip])) == {int(bits)}, (day, strip)

"""Probes: scores with known answers, folds that hold out what they say, targets that cannot be learned."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_bounds

from pm25map.base.errors import BadOutput, BadRaster, BadTarget, UnknownName
from pm25map.cli.main import cli
from pm25map.laboratory.probes import score, targets
from pm25map.laboratory.probes.table import as_table
from pm25map.laboratory.probes.targets import Target
from pm25map.laboratory.world.sphere import even_places
from pm25map.places.catalogue import encoder

pytest.importorskip("sklearn", reason="needs the train extra")

LAT, LON = even_places(np.random.default_rng(0), 600)
ALL = np.ones(LAT.size, bool)


def test_a_linear_head_reads_what_is_linear_in_the_vectors_and_nothing_else() -> None:
    z = np.sin(np.deg2rad(LAT))
    asked = [Target("z", "number", z, ALL), Target("side", "class", (LON > 0).astype(int), ALL)]
    made = {name: encoder(name).encode(LAT, LON) for name in ("harmonics-1", "latlon")}
    noise = np.random.default_rng(1).normal(size=(LAT.size, 3)).astype(np.float32)
    found = {
        (s.target, s.encoder, s.split): s
        for s in score.probe(
            made | {"noise": noise},
            {"harmonics-1": ("z",), "latlon": (), "noise": ()},
            asked,
            (LAT, LON),
            heads=("linear",),
            folds=3,
        )
    }
    for split in score.SPLITS:
        good = found["z", "harmonics-1", split]
        assert good.score > 0.9999
        assert good.low <= good.score <= good.high
        assert good.seen
        assert not found["z", "latlon", split].seen
        assert found["z", "noise", split].score < 0.05
        assert found["side", "latlon", split].score > 0.95
        assert found["side", "noise", split].score == pytest.approx(0.5, abs=0.1)
    table = as_table(list(found.values()))
    assert "| z | random | linear | **1.000** (1.000 to 1.000) * |" in table


def test_a_block_is_held_out_whole_and_every_place_is_held_out_once() -> None:
    fold, unit = score.folds_of("blocks", LAT, LON, 4, 0)
    assert all(len(np.unique(fold[unit == block])) == 1 for block in np.unique(unit))
    assert set(fold) == {0, 1, 2, 3}
    fold, unit = score.folds_of("random", LAT, LON, 4, 0)
    assert np.bincount(fold).tolist() == [150] * 4
    assert len(np.unique(unit)) == LAT.size


def test_the_interval_of_a_coin_is_that_of_the_binomial() -> None:
    truth = np.zeros(400, int)
    predicted = np.random.default_rng(0).integers(0, 2, 400)
    share, low, high = score.score_with_interval(
        Target("coin", "class", truth, np.ones(400, bool)), predicted, np.arange(400), 0
    )
    assert share == np.mean(predicted == 0)
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.15)
    alike = np.repeat(np.arange(20), 20)
    wide = score.score_with_interval(Target("coin", "class", truth, np.ones(400, bool)), alike % 2, alike, 0)
    assert wide[2] - wide[1] > 0.3  # twenty blocks, each right or wrong as a whole


def test_r2_is_that_of_scikit_learn_and_unknown_places_do_not_count() -> None:
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(2)
    truth = rng.normal(300, 1, 100)
    known = truth > 299
    predicted = truth[known] + rng.normal(0, 0.5, known.sum())
    found = score.score_with_interval(Target("t", "number", truth, known), predicted, np.arange(100), 0)
    assert found[0] == pytest.approx(r2_score(truth[known], predicted), abs=1e-9)


def test_a_small_network_reads_what_a_line_cannot() -> None:
    asked = Target("far", "number", np.abs(LON) / 180, ALL)
    fold, _ = score.folds_of("random", LAT, LON, 3, 0)
    rows = encoder("latlon").encode(LAT, LON)
    predicted = {head: score.predict_left_out(rows, asked, fold, head, 0) for head in score.HEADS}
    error = {head: np.mean((values - asked.values) ** 2) for head, values in predicted.items()}
    assert error["mlp"] < 0.3 * error["linear"]


def write_world(folder: Path, temperature: np.ndarray) -> None:
    """Two countries, west and east of Greenwich, and a raster of temperature x10."""
    west, east = ([[w, -90], [w, 90], [w + 180, 90], [w + 180, -90], [w, -90]] for w in (-180, 0))
    shapes = [
        {"type": "Polygon", "arcs": [[i]], "id": str(i), "properties": {"name": name}}
        for i, name in enumerate(("West", "East"))
    ]

    def steps(ring: list[list[int]]) -> list[list[int]]:
        return [ring[0], *([b[0] - a[0], b[1] - a[1]] for a, b in pairwise(ring))]

    topology = {
        "type": "Topology",
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": [steps(west), steps(east)],
        "objects": {"countries": {"type": "GeometryCollection", "geometries": shapes}},
    }
    (folder / "countries-50m.json").write_text(json.dumps(topology))
    height, width = temperature.shape
    with rasterio.open(
        folder / "t2m_annual_x10_degC_0p25.tif", "w", driver="GTiff", height=height, width=width, count=1,
        dtype="int16", crs="EPSG:4326", transform=from_bounds(-180, -90, 180, 90, width, height),
    ) as target:  # fmt: skip
        target.write(temperature.astype(np.int16), 1)


def test_the_command_scores_countries_and_temperature_over_land(tmp_path: Path) -> None:
    rows = 300 * np.cos(np.deg2rad(np.arange(89.5, -90, -1)))
    write_world(tmp_path, np.repeat(rows[:, None], 360, axis=1))
    words = [
        "lab",
        "places",
        "probe",
        "--rasters",
        str(tmp_path),
        "--encoder",
        "latlon",
        "--encoder",
        "harmonics-2",
    ]
    words += ["--target", "country", "--target", "temperature", "--head", "linear", "--places", "200"]
    result = CliRunner().invoke(cli, [*words, "--folds", "2", "--json"], catch_exceptions=False)
    found = {(s["target"], s["encoder"], s["split"]): s for s in json.loads(result.stdout)}
    assert len(found) == 8
    assert found["country", "latlon", "random"]["score"] > 0.9
    assert found["temperature", "harmonics-2", "random"]["score"] > 0.95
    assert found["temperature", "latlon", "random"]["score"] < 0.2
    again = CliRunner().invoke(cli, [*words, "--folds", "2", "--json"], catch_exceptions=False)
    assert again.stdout == result.stdout


def test_a_target_with_one_value_and_one_that_is_unknown_are_refused(tmp_path: Path) -> None:
    write_world(tmp_path, np.full((18, 36), 100))
    lat, lon, country = targets.land_places(tmp_path, 50, 0)
    assert set(country[lon < 0]) == {0}
    assert set(country[lon > 0]) == {1}
    with pytest.raises(BadTarget, match=r"temperature has one number alone, 10.0"):
        targets.read_target("temperature", tmp_path, lat, lon, country)
    with pytest.raises(BadTarget, match="one class alone"):
        targets.read_target("country", tmp_path, lat, lon, np.zeros_like(country))
    with pytest.raises(UnknownName, match="there are country, precipitation"):
        targets.read_target("rain", tmp_path, lat, lon, country)
    with pytest.raises(BadRaster, match="cannot read the raster"):
        targets.read_target("koppen", tmp_path, lat, lon, country)
    with pytest.raises(BadRaster, match=r"countries-50m.json of world-atlas"):
        targets.land_places(tmp_path / "elsewhere", 50, 0)


def test_countries_of_natural_earth_are_found_where_they_are(shared_data: Path) -> None:
    lat, lon, country = targets.land_places(shared_data / "global", 2000, 0)
    assert len(np.unique(country)) > 80
    inland = (np.abs(lat - 40) < 3) & (np.abs(lon + 100) < 8)
    assert inland.sum() > 3
    assert len(np.unique(country[inland])) == 1


def test_maps_of_errors_are_drawn_for_numbers_with_a_panel_for_each_encoder(tmp_path: Path) -> None:
    rows = 300 * np.cos(np.deg2rad(np.arange(89.5, -90, -1)))
    write_world(tmp_path, np.repeat(rows[:, None], 360, axis=1))
    words = [
        "lab",
        "places",
        "probe",
        "--rasters",
        str(tmp_path),
        "--encoder",
        "latlon",
        "--encoder",
        "sincos",
    ]
    words += ["--target", "country", "--head", "linear", "--places", "100", "--folds", "2"]
    maps = tmp_path / "maps"
    result = CliRunner().invoke(cli, [*words, "--maps", str(maps)])
    assert isinstance(result.exception, BadTarget)
    assert "classes have no difference" in str(result.exception)
    words += ["--target", "temperature", "--maps", str(maps)]
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0
    names = {path.name for path in maps.iterdir()}
    assert names == {f"errors-temperature-{split}-linear.png" for split in ("random", "blocks")}
    assert all(path.stat().st_size > 10_000 for path in maps.iterdir())
    assert isinstance(CliRunner().invoke(cli, words).exception, BadOutput)


def test_what_a_map_of_errors_gets_is_predicted_minus_true() -> None:
    asked = [Target("z", "number", np.sin(np.deg2rad(LAT)), ALL)]
    vectors = {"harmonics-1": encoder("harmonics-1").encode(LAT, LON)}
    predicted = []
    for one in score.probe(
        vectors, {"harmonics-1": ()}, asked, (LAT, LON), heads=("linear",), folds=2,
        on_score=lambda found, target, values: predicted.append((found.split, target.name, values)),
    ):  # fmt: skip
        assert predicted[-1][0] == one.split
    assert [name for _, name, _ in predicted] == ["z", "z"]
    np.testing.assert_allclose(predicted[0][2], asked[0].values, atol=0.02)

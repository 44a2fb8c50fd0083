"""Files that a user may really have, and no command may take: one line that names them, and nothing written."""

import json
import shutil
import zipfile

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from aqs_rows import text_of
from bad_inputs import build, contents, refused

BRACKETS = "[" * 20_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    build(folder)
    write_configurations(folder)
    write_grids(folder)
    write_boundaries(folder)
    write_monitors(folder)
    write_maps(folder)
    write_encoders(folder)
    return folder


def write_configurations(folder):
    (folder / "deep.yaml").write_text(BRACKETS)
    (folder / "twice.yaml").write_text((folder / "good.yaml").read_text() + "\nname: again\n")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "tag.yaml").write_text("name: !!python/object/apply:os.system [exit]\n")


def write_grids(folder):
    told = json.loads((folder / "grid" / "grid.json").read_text())
    for name, text in {
        "deep": BRACKETS,
        "twice": json.dumps(told)[:-1] + ', "name": "again"}',
        "nan": json.dumps(told | {"transform": [float("nan")] * 6}),
        "cut": json.dumps(told)[:30],
        "large": json.dumps(told | {"shape": [10**9, 10**9]}),
        "list": "[1, 2]",
        "empty": "",
    }.items():
        shutil.copytree(folder / "grid", folder / f"grid-{name}")
        (folder / f"grid-{name}" / "grid.json").write_text(text)


def write_boundaries(folder):
    square = {"type": "Polygon", "coordinates": [[[-79, 35.7], [-78.5, 35.7], [-78.5, 36.1], [-79, 35.7]]]}
    far = {"type": "Polygon", "coordinates": [[[-79, 35.7], [1e300, 35.7], [-78.5, 36.1], [-79, 35.7]]]}
    point = {"type": "Point", "coordinates": [-79, 35.7]}
    for name, shapes in {"null": [square, None], "nulls": [None], "point": [point], "far": [far]}.items():
        features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
        (folder / f"{name}.geojson").write_text(
            json.dumps({"type": "FeatureCollection", "features": features})
        )
    (folder / "deep.geojson").write_text('{"type": "FeatureCollection", "features": ' + BRACKETS)
    boxes = [shapely.box(-79 + number, 35, -78.5 + number, 36) for number in range(8)]
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:4326").to_file(folder / "short.shp")
    (folder / "short.shp").write_bytes((folder / "short.shp").read_bytes()[:500])


def write_monitors(folder):
    for name, rows in {
        "header": [],
        "future": [{"Date Local": "2999-01-01"}],
        "huge": [{"Arithmetic Mean": "1e308"}],
        "minus": [{"Arithmetic Mean": "-999"}],
        "nan": [{"Arithmetic Mean": "nan"}],
        "east": [{"Longitude": "122.6"}],
        "nowhere": [{"Latitude": "0", "Longitude": "0"}],
    }.items():
        (folder / f"{name}.csv").write_text(text_of(*rows))
    (folder / "other.csv").write_text("when,where,what\n2020-09-12,here,5\n")
    plain = "site_id,latitude,longitude,date,pm25\n"
    (folder / "zone.csv").write_text(f"{plain}a,45,-122,2020-09-12T05:00+02:00,5\n")
    (folder / "two.csv").write_text(f"{plain}a,45,-122,2020-09-12,5\na,45,-122,2020-09-12,9\n")
    (folder / "words.csv").write_text(f"{plain}a,45,-122,2020-09-12,much\n")
    (folder / "plain-header.csv").write_text(plain)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("daily_88101_2020.csv", b"\n" * 40_000_000)
    with zipfile.ZipFile(folder / "leftovers.zip", "w") as archive:
        archive.writestr("__MACOSX/._daily_88101_2020.csv", b"\0\5\x16\7")
    (folder / "only-leftovers").mkdir()
    (folder / "only-leftovers" / "._daily_88101_2020.csv").write_bytes(b"\0\5\x16\7")


def write_maps(folder):
    with rasterio.open(folder / "map.tif") as source:
        values, profile = source.read(), {"driver": "GTiff", "dtype": "float32", "count": source.count}
        profile |= {
            "height": source.height,
            "width": source.width,
            "crs": source.crs,
            "transform": source.transform,
        }
    local = 'LOCAL_CS["x",UNIT["metre",1]]'
    turned = rasterio.Affine(9000, 5000, 0, 5000, -9000, 0)
    for name, change in {
        "hollow": {}, "local": {"crs": local}, "nocrs": {"crs": None}, "turned": {"transform": turned}
    }.items():  # fmt: skip
        with rasterio.open(folder / f"{name}.tif", "w", **(profile | change)) as target:
            target.write(values * np.nan if name == "hollow" else values)
    whole = (folder / "map.tif").read_bytes()
    (folder / "short.tif").write_bytes(whole[: len(whole) // 3])
    (folder / "mixed").mkdir()
    for name in ("map.tif", "hollow.tif", "local.tif", "short.tif"):
        shutil.copy(folder / name, folder / "mixed" / name)


def write_encoders(folder):
    for name, text in {"deep": BRACKETS, "cut": "{", "short": '{"kind": "location-encoder"}'}.items():
        (folder / f"encoder-{name}").mkdir()
        (folder / f"encoder-{name}" / "card.json").write_text(text)


TRAIN = ("train", "--monitors", "good.csv", "--predictors", "good.zarr", "--out", "new", "--config")
STUDY = ("lab", "study", "--monitors", "good.csv", "--predictors", "good.zarr", "--out", "new", "--config")
PRETRAIN = ("lab", "places", "pretrain", "--data", "folder", "--out", "new", "--config")
BUILD = ("grid", "build", "mine", "--crs", "EPSG:5070", "--step", "5000", "--out", "new", "--boundary")
VALIDATE = ("validate", "--date", "2020-09-12", "--out", "new", "--monitors")
PREDICT = ("predict", "--date", "2020-09-12", "--out", "new.tif", "--region", "rhode-island")
PACK = (
    "data",
    "pack",
    "--store",
    "good.zarr",
    "--out",
    "new.zarr.zip",
    "--start",
    "2020-09-12",
    "--end",
    "2020-09-12",
)

CASES = [
    *[
        ((*command, name), says)
        for command in (TRAIN, STUDY, PRETRAIN)
        for name, says in {
            "deep.yaml": "nested too deeply",
            "twice.yaml": "the key 'name' stands there twice",
            "list.yaml": "list.yaml",
            "binary.yaml": "is not YAML",
            "tag.yaml": "is not YAML",
        }.items()
    ],
    *[
        (("grid", "info", f"grid-{name}"), f"grid-{name}")
        for name in ("deep", "twice", "nan", "cut", "list", "empty")
    ],
    (("grid", "info", "grid-large"), "1000000000"),
    ((*PREDICT, "--grid", "grid-deep"), "grid-deep"),
    *[
        ((*BUILD, f"{name}"), says)
        for name, says in {
            "null.geojson": "1 of 2 features without a geometry",
            "nulls.geojson": "1 of 1 features without a geometry",
            "short.shp": "of 8 features without a geometry",
            "point.geojson": "holds polygons",
            "far.geojson": "not in degrees",
            "deep.geojson": "deep.geojson",
        }.items()
    ],
    *[
        ((*VALIDATE, f"{name}"), says)
        for name, says in {
            "header.csv": "no row, only its header",
            "plain-header.csv": "no row, only its header",
            "future.csv": "2999-01-01",
            "huge.csv": "(huge.csv, line 2)",
            "minus.csv": "(minus.csv, line 2)",
            "nan.csv": "nan.csv, line 2",
            "east.csv": "put a minus before them",
            "nowhere.csv": "nowhere.csv, line 2",
            "other.csv": "site_id, latitude, longitude, date, pm25",
            "zone.csv": "without hours and time zone",
            "two.csv": "two values on 2020-09-12",
            "words.csv": "'much'",
            "bomb.zip": "times larger than in the archive",
            "leftovers.zip": "holds no .csv",
            "only-leftovers": "holds no monitors",
        }.items()
    ],
    *[
        ((*command, f"{name}.tif"), says)
        for command in (
            ("view", "--out", "new.html"),
            ("hotspots", "--out", "new"),
            ("view", "--png", "new.png"),
        )
        for name, says in {
            "hollow": "no value in any cell",
            "local": "not tied to the earth",
            "nocrs": "no CRS",
            "turned": "north up",
            "short": "short.tif",
        }.items()
    ],
    *[(("info", f"{name}.tif"), f"{name}.tif") for name in ("hollow", "local", "nocrs", "turned", "short")],
    *[
        ((*command, f"encoder-{name}"), f"encoder-{name}")
        for command in (
            ("grid", "embed", "--grid", "grid", "--out", "new", "--encoder"),
            ("lab", "places", "card"),
        )
        for name in ("deep", "cut", "short")
    ],
    *[
        ((*PACK, "--precision", text), says)
        for text, says in {
            "neighbours_idw9=0": "--precision",
            "neighbours_idw9=1e9": "fewer than 20 values would be left",
            "neighbours_idw9=nan": "--precision",
            "neighbours_idw9": "--precision",
            "=1": "--precision",
            "no_such=1": "no_such",
            "elevation=1e-30": "65,533 steps",
        }.items()
    ],
    *[((*PREDICT, "--place-smoothing", km), "0.001 to 10,000 km") for km in ("1e300", "1e-300")],
    (
        ("data", "status", "--store", "good.zarr", "--start", "0001-01-01", "--end", "9999-12-31"),
        "3,652,059 days",
    ),
    (
        ("data", "verify", "--store", "good.zarr", "--start", "2030-09-12", "--end", "2030-09-13"),
        "holds no day",
    ),
    (
        ("data", "verify", "--store", "good.zarr", "--start", "2020-09-12", "--end", "2020-09-01"),
        "swap --start",
    ),
    (
        (
            "backfill",
            "--start",
            "2020-09-12",
            "--end",
            "2020-09-13",
            "--out",
            "new",
            "--predictors",
            "good.zarr",
        ),
        "grid",
    ),
]


@pytest.mark.parametrize(
    ("words", "says"), CASES, ids=lambda one: " ".join(one)[:70] if isinstance(one, tuple) else ""
)
def test_a_file_that_cannot_be_taken_is_named_in_one_line(
    world, monkeypatch, capsys, tmp_path_factory, words, says
):
    assert says in refused(world, monkeypatch, capsys, tmp_path_factory.getbasetemp(), list(words))


def test_maps_that_cannot_be_shown_are_left_out_and_named_and_the_good_one_is_shown(
    world, monkeypatch, capsys, tmp_path
):
    from pm25map.cli.main import main

    monkeypatch.chdir(world)
    before = contents(world)
    monkeypatch.setattr("sys.argv", ["pm25map", "view", "mixed", "--out", str(tmp_path / "new.html")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Left out: ")]
    assert len(lines) == 3
    for line, name in zip(lines, ("hollow", "local", "short"), strict=True):
        assert f"{name}.tif" in line
    assert (tmp_path / "new.html").stat().st_size > 0
    assert contents(world) == before

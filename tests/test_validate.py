"""Validation: no station is compared with an estimate that it fed, and the output says what was compared with what."""

import datetime as dt
import json
from types import SimpleNamespace

import geopandas
import numpy as np
import pandas as pd
import pytest
from maps import address_grid, address_map, provenance
from rasterio.io import MemoryFile  # noqa: F401 - GDAL is loaded before pyogrio on every platform

from pm25map.base.aqi import CATEGORIES
from pm25map.base.errors import BadMap, BadModel, BadMonitors, BadPredictors
from pm25map.base.shipped import shipped_folder
from pm25map.diagnostics.quality import write_quality
from pm25map.model.card import load_model
from pm25map.model.runtime import open_session
from pm25map.monitors import Monitors
from pm25map.predictors.reader import open_predictors
from pm25map.raster.bands import LOWER, UPPER
from pm25map.raster.map_files import write_map
from pm25map.scores.matchups import write_matchups
from pm25map.scores.validate import (
    COLUMNS,
    LEFT_OUT,
    NOT_USED,
    USED,
    check_measured,
    match_left_out,
    score_strata,
    trust_of,
)
from pm25map.scores.validate_maps import match_maps
from pm25map.view.validation import draw_bias_map, draw_scatter

DAY = dt.date(2020, 9, 12)


def stations(rows, days, value):
    """Monitors at (site_id, lat, lon) whose value on a day is value(number, day number)."""
    sites = pd.DataFrame(rows, columns=["site_id", "latitude", "longitude"])
    seen = [
        (site, pd.Timestamp(day), value(i, k), 88101)
        for i, site in enumerate(sites["site_id"])
        for k, day in enumerate(days)
    ]
    return Monitors(sites, pd.DataFrame(seen, columns=["site_id", "date", "pm25_ugm3", "parameter_code"]))


def country(count=40, seed=0):
    """Invented stations with smooth values over a month that ends on DAY."""
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(34, 44, count), rng.uniform(-115, -95, count)
    days = [DAY - dt.timedelta(days=i) for i in range(30, -1, -1)]
    rows = [(f"s{i:02d}", lat[i], lon[i]) for i in range(count)]
    return stations(rows, days, lambda i, k: 8 + 4 * np.sin(lon[i] / 8) + 2 * np.sin(k / 5) + 0.3 * (i % 3))


def save(monitors, folder):
    """The parquet tables, as a user has them."""
    folder.mkdir()
    monitors.sites.to_parquet(folder / "sites.parquet")
    monitors.observations.to_parquet(folder / "pm25_daily.parquet")
    return folder


@pytest.fixture(scope="module")
def open_model():
    model = load_model("conus-open")
    sample = shipped_folder("grids") / "conus-10km" / "sample.zarr.zip"
    return open_session(model, "cpu"), trust_of(model, required=True), open_predictors(sample)


def left_out(open_model, monitors, neighbours=None, start=DAY, end=DAY):
    session, trust, predictors = open_model
    return match_left_out(session, trust, monitors, neighbours, predictors, start, end)


def test_a_stations_own_values_do_not_change_its_estimate(open_model):
    usual = left_out(open_model, country())
    monitors = country()
    seen = monitors.observations.copy()
    seen.loc[seen["site_id"] == "s05", "pm25_ugm3"] = 150.0
    changed = left_out(open_model, Monitors(monitors.sites, seen))
    one, other = (frame.set_index("site_id") for frame in (usual, changed))
    assert other.loc["s05", "observed_ugm3"] == 150
    # Winsorizing would show here: nothing of s05 reaches s05, and much of it reaches its neighbours.
    assert other.loc["s05", "pm25_ugm3"] == pytest.approx(one.loc["s05", "pm25_ugm3"], abs=1e-3)
    assert (other["pm25_ugm3"] - one["pm25_ugm3"]).abs().max() > 1


def test_match_ups_hold_estimate_interval_distance_and_applicability(open_model):
    frame = left_out(open_model, country())
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 40 and set(frame["station_is"]) == {LEFT_OUT}
    assert (frame["pm25_lower_ugm3"] <= frame["pm25_ugm3"]).all()
    assert (frame["pm25_ugm3"] <= frame["pm25_upper_ugm3"]).all()
    assert frame["distance_km"].between(1, 2000).all()
    assert set(frame["applicable"]) <= {0.0, 1.0} and frame["dissimilarity"].gt(0).all()
    assert set(frame["trained_on"]) == {"unknown"}


def test_a_target_at_the_place_of_a_feeding_monitor_gets_nothing_from_it(open_model):
    feeding = country()
    site = feeding.sites.iloc[[7]].assign(site_id="twin")
    seen = feeding.observations[feeding.observations["site_id"] == "s07"].assign(
        site_id="twin", pm25_ugm3=99.0
    )
    frame = left_out(open_model, Monitors(site, seen), feeding)
    own = left_out(open_model, feeding).set_index("site_id").loc["s07"]
    assert frame["site_id"].tolist() == ["twin"]
    assert frame["pm25_ugm3"][0] == pytest.approx(own["pm25_ugm3"], rel=1e-3)
    assert frame["distance_km"][0] > 1


def test_a_day_without_monitors_is_refused():
    with pytest.raises(BadMonitors, match=r"no monitor measured on 2019-07-04: they hold 2020-08-13 to"):
        check_measured(country(), dt.date(2019, 7, 4), dt.date(2019, 7, 4))


def test_monitors_that_do_not_reach_back_fill_the_window_as_a_map_does(open_model):
    short = country().between(DAY - dt.timedelta(days=3), DAY)
    # The same monitors, their first value repeated on the days before: what filling means.
    first = DAY - dt.timedelta(days=3)
    oldest = short.between(first, first).observations
    before = [oldest.assign(date=pd.Timestamp(first - dt.timedelta(days=i))) for i in range(1, 18)]
    repeated = Monitors(short.sites, pd.concat([*before, short.observations], ignore_index=True))
    one, other = left_out(open_model, short), left_out(open_model, repeated)
    assert len(one) == len(other) == 40
    assert np.allclose(one["pm25_ugm3"], other["pm25_ugm3"], rtol=0, atol=0.5)
    # The whole month says something else: the windows are filled, not read.
    assert not np.allclose(one["pm25_ugm3"], left_out(open_model, country())["pm25_ugm3"], rtol=0, atol=1e-3)


def test_a_monitor_without_another_is_refused(open_model):
    alone = country(count=1)
    with pytest.raises(BadMonitors, match="needs another monitor than the compared one"):
        left_out(open_model, alone)


def test_a_store_on_another_grid_is_refused(open_model):
    session, trust, _ = open_model
    other = SimpleNamespace(path="other.zarr", grid=SimpleNamespace(checksum="f" * 64))
    with pytest.raises(
        BadPredictors, match=r"other\.zarr does not lie on grid conus-10km .* pm25map data ingest"
    ):
        match_left_out(session, trust, country(), None, other, DAY, DAY)


def draw_maps(folder, days=(DAY,), **more):
    grid = address_grid()
    folder.mkdir(exist_ok=True)
    for day in days:
        pm25 = address_map(grid)
        bounds = {LOWER: pm25 - 1, UPPER: pm25 + 1}
        write_map(
            folder / f"{day}.tif", pm25, grid, provenance(grid, day=day, **more), more=bounds, overwrite=True
        )
    return grid


def at_cells(grid, cells, days=(DAY,)):
    """Monitors at the centres of cells; each measures half a unit above the map's value."""
    lon, lat = grid.lonlat()
    index = grid.land_index()
    where = [index[row, col] for row, col in cells]
    rows = [(f"r{r}c{c}", lat[i], lon[i]) for (r, c), i in zip(cells, where, strict=True)]
    return stations(rows, days, lambda i, k: cells[i][0] + cells[i][1] / 1000 + 0.5)


CELLS = [(10, 5), (20, 30), (39, 59), (0, 10)]


def test_maps_are_read_in_the_cells_that_hold_the_monitors(tmp_path):
    grid = draw_maps(tmp_path / "maps")
    frame = match_maps(
        tmp_path / "maps", at_cells(grid, CELLS), at_cells(grid, [(30, 30), (5, 50)]), DAY, DAY
    )
    assert set(frame["station_is"]) == {NOT_USED}
    np.testing.assert_allclose(frame["observed_ugm3"] - frame["pm25_ugm3"], 0.5, atol=1e-4)
    np.testing.assert_allclose(frame["pm25_upper_ugm3"] - frame["pm25_lower_ugm3"], 2, atol=1e-4)
    assert (frame["inside_interval"] == 1).all()
    by_site = frame.set_index("site_id")
    assert by_site.loc["r20c30", "distance_km"] == pytest.approx(100, rel=0.02)
    assert score_strata(frame)[0].errors["estimate"].mbe.value == pytest.approx(-0.5, abs=1e-3)


def test_a_station_that_fed_the_map_is_listed_and_not_scored(tmp_path):
    grid = draw_maps(tmp_path / "maps")
    frame = match_maps(tmp_path / "maps", at_cells(grid, CELLS), at_cells(grid, CELLS[:3]), DAY, DAY)
    assert (frame["station_is"] == USED).sum() == 3
    assert score_strata(frame)[0].n == 1


def test_maps_whose_monitors_are_not_named_cannot_be_scored(tmp_path):
    grid = draw_maps(tmp_path / "maps")
    frame = match_maps(tmp_path / "maps", at_cells(grid, CELLS), None, DAY, DAY)
    assert set(frame["station_is"]) == {USED}
    with pytest.raises(BadMonitors, match="all 4 stations of the match-ups fed the maps"):
        score_strata(frame)


def test_maps_of_two_grids_two_of_a_day_and_none_are_refused(tmp_path):
    days = (DAY, DAY + dt.timedelta(days=1))
    grid = draw_maps(tmp_path / "maps", days)
    monitors = at_cells(grid, CELLS, days)
    with pytest.raises(BadMap, match="holds no map of 2020-09-13 to 2020-09-13"):
        draw_maps(tmp_path / "one")
        match_maps(tmp_path / "one", monitors, None, days[1], days[1])
    draw_maps(tmp_path / "maps", days[1:], grid_checksum="f" * 64)
    with pytest.raises(BadMap, match="lie on different grids"):
        match_maps(tmp_path / "maps", monitors, None, *days)
    (tmp_path / "maps" / "again.tif").write_bytes((tmp_path / "maps" / f"{DAY}.tif").read_bytes())
    with pytest.raises(BadMap, match=r"2020-09-12\.tif and again\.tif in .* are both of 2020-09-12"):
        match_maps(tmp_path / "maps", monitors, None, DAY, DAY)


def test_a_broken_map_is_named_and_a_foreign_raster_is_passed_over(tmp_path):
    grid = draw_maps(tmp_path / "maps")
    monitors = at_cells(grid, CELLS)
    bits = np.zeros(grid.shape, dtype=np.float32)
    write_quality(tmp_path / "maps" / "quality.tif", bits, grid, provenance(grid))
    assert len(match_maps(tmp_path / "maps", monitors, None, DAY, DAY)) == 4
    (tmp_path / "maps" / "broken.tif").write_bytes(b"II*\0 and no more")
    with pytest.raises(BadMap, match=r"cannot read .*broken\.tif"):
        match_maps(tmp_path / "maps", monitors, None, DAY, DAY)


def test_the_command_scores_maps_and_says_which_stations_fed_them(say, tmp_path):
    grid = draw_maps(tmp_path / "maps")
    save(at_cells(grid, CELLS), tmp_path / "aqs")
    save(at_cells(grid, CELLS[:1]), tmp_path / "fed")
    words = ("validate", "--date", DAY, "--monitors", "aqs", "--maps", "maps", "--out", "v")
    code, out, err = say(*words, "--neighbours", "fed")
    assert code == 0, err
    assert "3 stations not used by the map: scored" in out
    assert "estimates fed by 1 stations of --neighbours; the nearest one with a value is" in out
    assert "interpolation" in out and "kriging" in out
    assert "1 stations used by the map: in the match-ups, not scored" in out
    code, _, err = say(*words, "--overwrite")
    assert code == 1 and "fed the maps" in err and err.count("Error:") == 1


def test_monitors_off_the_maps_are_refused(tmp_path):
    draw_maps(tmp_path / "maps")
    far = stations([("alaska", 64.0, -150.0)], [DAY], lambda i, k: 5.0)
    with pytest.raises(BadMonitors, match="stands on a cell of the maps"):
        match_maps(tmp_path / "maps", far, None, DAY, DAY)


def matchups(count=60, seed=0):
    rng = np.random.default_rng(seed)
    seen = rng.gamma(2, 8, count)
    frame = pd.DataFrame(
        {
            "site_id": [f"s{i % 12}" for i in range(count)],
            "date": pd.Timestamp(DAY),
            "latitude": 38 + (np.arange(count) % 12) / 3,
            "longitude": -110 + (np.arange(count) % 12) * 3.0,
            "region": "southwest",
            "observed_ugm3": seen,
            "pm25_ugm3": seen * rng.uniform(0.7, 1.3, count),
            "pm25_lower_ugm3": seen * 0.5,
            "pm25_upper_ugm3": seen * 1.6,
            "interpolation_ugm3": seen + 3.0,
            "kriging_ugm3": seen - 2.0,
            "inside_interval": 1.0,
            "distance_km": 20.0,
            "dissimilarity": 0.05,
            "applicable": 1.0,
            "station_is": LEFT_OUT,
            "trained_on": "yes",
        }
    )
    return frame[list(COLUMNS)]


def test_scores_by_stratum_are_those_of_their_rows():
    frame = matchups()
    rows = {row.stratum: row for row in score_strata(frame)}
    assert rows["all"].n == 60 and rows["all"].stations == 12
    assert rows["all"].coverage_percent == 100
    good = frame[frame["observed_ugm3"] < 9.05]
    assert rows[f"observed {CATEGORIES[0].name}"].errors["estimate"].mae.value == pytest.approx(
        (good["pm25_ugm3"] - good["observed_ugm3"]).abs().mean(), abs=1e-3
    )
    assert rows["nearest monitor 10-50 km"].n == rows["stations that trained the model"].n == 60
    assert "outside of it" not in rows
    errors = rows["all"].errors
    assert (
        errors["interpolation"].rmse.value == errors["interpolation"].mbe.value == pytest.approx(3, abs=1e-3)
    )
    assert errors["kriging"].mae.value == -errors["kriging"].mbe.value == pytest.approx(2, abs=1e-3)
    for score in (errors["estimate"].rmse, errors["estimate"].mae, errors["estimate"].mbe):
        assert score.low < score.value < score.high
    assert rows["autumn"].n == 60, "12 September"


def test_no_r2_is_given_inside_a_class_of_the_observation():
    rows = {row.stratum: row for row in score_strata(matchups())}
    inside = [row.errors["estimate"] for row in rows.values() if row.kind == "level"]
    assert len(inside) > 2 and all(one.r2 is None and one.rmse.value is not None for one in inside)
    assert rows["all"].errors["estimate"].r2.value is not None


def test_the_interval_of_an_rmse_is_over_stations_and_not_over_days():
    """One station far off, with many days: an interval over days would be narrow."""
    frame = matchups(1200)
    far = frame["site_id"] == "s3"
    frame.loc[far, "pm25_ugm3"] = frame.loc[far, "observed_ugm3"] + 60
    rmse = score_strata(frame)[0].errors["estimate"].rmse
    assert rmse.low < 0.5 * rmse.value
    assert rmse.high > 1.2 * rmse.value
    few = score_strata(matchups()[matchups()["site_id"].isin(["s1", "s2"])])[0].errors["estimate"].rmse
    assert (few.low, few.high) == (None, None)


def test_maps_in_the_folders_of_their_years_are_read_and_others_stay_beside_them(tmp_path):
    """As backfill writes them."""
    days = (dt.date(2020, 12, 31), dt.date(2021, 1, 1))
    (tmp_path / "maps").mkdir()
    for day in days:
        grid = draw_maps(tmp_path / "maps" / str(day.year), (day,))
    (tmp_path / "maps" / ".going-on").mkdir()
    (tmp_path / "maps" / ".going-on" / "half.tif").write_bytes(b"half")
    frame = match_maps(
        tmp_path / "maps", at_cells(grid, CELLS, days), at_cells(grid, [(30, 30)], days), *days
    )
    assert len(frame) == 2 * len(CELLS)


def test_interpolation_and_kriging_of_what_fed_the_maps_stand_beside_them(tmp_path):
    grid = draw_maps(tmp_path / "maps")
    fed = at_cells(grid, [(19, 30), (21, 30), (20, 29), (20, 31)])
    row = match_maps(tmp_path / "maps", at_cells(grid, [(20, 30)]), fed, DAY, DAY).iloc[0]
    around = fed.observations["pm25_ugm3"].to_numpy()
    assert row["interpolation_ugm3"] == pytest.approx(around.mean(), rel=0.01)
    assert around.min() - 1 < row["kriging_ugm3"] < around.max() + 1
    assert row["distance_km"] == pytest.approx(10, rel=0.02)


def test_match_ups_are_written_as_geoparquet(tmp_path):
    frame = matchups()
    write_matchups(frame, tmp_path / "m.parquet")
    again = geopandas.read_parquet(tmp_path / "m.parquet")
    assert again.crs.to_authority() == ("OGC", "CRS84")
    assert [p.x for p in again.geometry] == frame["longitude"].tolist()
    pd.testing.assert_frame_equal(pd.DataFrame(again.drop(columns="geometry")), frame, check_dtype=False)


@pytest.mark.parametrize("count", [60, 4000])
def test_pictures_are_drawn_for_few_and_for_many(tmp_path, count):
    frame = matchups(count)
    for draw in (draw_scatter, draw_bias_map):
        path = tmp_path / f"{draw.__name__}.png"
        draw(frame, path, "12 September 2020", "an invented country")
        assert path.read_bytes().startswith(b"\x89PNG")
        first = path.read_bytes()
        draw(frame, path, "12 September 2020", "an invented country", overwrite=True)
        assert path.read_bytes() == first


def test_a_model_without_calibration_is_told_or_refused(tmp_path):
    model = SimpleNamespace(network=tmp_path / "model.onnx", card=SimpleNamespace(name="tiny", files={}))
    assert trust_of(model, required=False).missing == ("intervals.json", "applicability.json")
    with pytest.raises(BadModel, match=r"model tiny has no intervals\.json"):
        trust_of(model, required=True)


def test_the_command_writes_match_ups_scores_and_pictures(say, tmp_path):
    off_grid = stations([("hilo", 19.7, -155.1)], [DAY], lambda i, k: 4.0)
    here = country()
    everyone = Monitors(
        pd.concat([here.sites, off_grid.sites]), pd.concat([here.observations, off_grid.observations])
    )
    save(everyone, tmp_path / "aqs")
    code, out, err = say("validate", "--date", DAY, "--monitors", "aqs", "--out", "v", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["scores"][0]["n"] == 40
    assert "40 stations left out: scored" in found["notes"]
    fed = next(note for note in found["notes"] if note.startswith("estimates fed by"))
    assert "41 stations of --monitors themselves, each left out of its own (name others with --neigh" in fed
    assert "km away in the median" in fed
    errors = found["scores"][0]["errors"]
    assert list(errors) == ["estimate", "interpolation", "kriging"]
    for score in (one[name] for one in errors.values() for name in ("rmse", "mae", "mbe")):
        assert score["low"] < score["value"] < score["high"]
    assert {row["kind"] for row in found["scores"]} >= {"all", "distance", "level", "season", "region"}
    assert any(note.startswith("1 stations that measured have no estimate") for note in found["notes"])
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == [
        "bias.png", "matchups.parquet", "scatter.png", "scores.json",
    ]  # fmt: skip
    code, _, err = say("validate", "--date", DAY, "--monitors", "aqs", "--out", "v")
    assert code == 1 and "exists already. Add --overwrite" in err


def test_wrong_days_and_wrong_units_are_one_line(say, tmp_path):
    header = (
        "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Datum,Parameter Name,"
        "Sample Duration,Pollutant Standard,Date Local,Units of Measure,Event Type,Observation Count,"
        "Observation Percent,Arithmetic Mean,1st Max Value,1st Max Hour,AQI,Method Code,Method Name,"
        "Local Site Name,Address,State Name,County Name,City Name,CBSA Name,Date of Last Change"
    )
    row = (
        "06,037,1103,88101,1,34.06,-118.2,WGS84,PM2.5,24 HOUR,PM25 24-hour 2012,2020-09-12,Parts per billion,"
        "None,1,100,12.0,12.0,0,50,145,x,x,x,California,Los Angeles,x,x,2021-01-01"
    )
    (tmp_path / "daily.csv").write_text(f"{header}\n{row}\n")
    code, _, err = say("validate", "--date", DAY, "--monitors", "daily.csv", "--out", "v")
    assert code == 1 and "Parts per billion" in err and err.count("\n") == 1
    code, _, err = say("validate", "--monitors", "daily.csv", "--out", "v")
    assert code == 1 and "either --date, or --start with --end" in err
    code, _, err = say(
        "validate", "--start", "2020-09-12", "--end", "2020-09-01", "--monitors", "daily.csv", "--out", "v"
    )
    assert code == 1 and "swap --start and --end" in err
    assert not (tmp_path / "v").exists()

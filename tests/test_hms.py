"""Smoke plumes in every format that NOAA and its users have them in."""

import datetime as dt
import zipfile

import numpy as np
import pytest
import shapely
from provider_files import write_hms

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.sources.hms import Hms, burn_plumes, read_plumes

DAY = dt.date(2020, 9, 12)


def grid_of(step=20_000.0, rows=20, cols=20):
    land = np.ones((rows, cols), dtype=bool)
    return Grid("g", "EPSG:5070", (step, 0.0, -2_060_000.0, 0.0, -step, 2_000_000.0), (rows, cols), 8, land)


EVERYWHERE = shapely.box(-130, 30, -105, 50)
WEST, CORE = shapely.box(-130, 30, -119, 50), shapely.box(-130, 30, -120, 50)


def field(folder, days=(DAY,), grid=None):
    return Hms(folder).fields(grid or grid_of(), list(days))["wildfire_smoke"]


@pytest.mark.parametrize("kind", ["shp", "geojson", "kml"])
@pytest.mark.parametrize("density", ["Medium", "16.000"])
def test_a_plume_reads_alike_in_every_format(tmp_path, kind, density):
    write_hms(tmp_path, DAY, [(EVERYWHERE, density)], kind)
    np.testing.assert_allclose(field(tmp_path), 16, atol=1e-4)


def test_a_zipped_shapefile_is_read_as_it_comes(tmp_path):
    path = write_hms(tmp_path / "loose", DAY, [(EVERYWHERE, "Heavy")])
    with zipfile.ZipFile(tmp_path / f"{path.stem}.zip", "w") as archive:
        for part in path.parent.glob(f"{path.stem}.*"):
            archive.write(part, part.name)
    for part in path.parent.iterdir():
        part.unlink()
    np.testing.assert_allclose(field(tmp_path), 27, atol=1e-4)


def test_of_plumes_over_each_other_the_densest_counts(tmp_path):
    plumes = [(EVERYWHERE, "Light"), (EVERYWHERE, "Light"), (WEST, "Medium"), (CORE, "Heavy")]
    write_hms(tmp_path, DAY, plumes)
    got = field(tmp_path)[0]
    lon, _ = grid_of().lonlat()
    lon = lon.reshape(got.shape)
    assert (got[lon < -120.3] > 26.99).all()
    np.testing.assert_allclose(got[lon > -118.7], 5, atol=1e-4)
    between = (lon > -119.7) & (lon < -119.3)
    assert between.any()
    np.testing.assert_allclose(got[between], 16, atol=1e-4)


def test_a_cell_has_the_mean_over_its_area(tmp_path):
    write_hms(tmp_path, DAY, [(CORE, "27")])
    coarse = field(tmp_path, grid=grid_of(80_000.0, 5, 5))[0]
    fine = field(tmp_path, grid=grid_of(10_000.0, 40, 40))[0]
    np.testing.assert_allclose(coarse, fine.reshape(5, 8, 5, 8).mean(axis=(1, 3)), atol=1e-3)
    assert ((coarse > 1) & (coarse < 26)).any()


def test_a_file_without_plumes_is_no_smoke_and_no_file_is_a_missing_day(tmp_path):
    write_hms(tmp_path, DAY, [])
    source, after = Hms(tmp_path), DAY + dt.timedelta(days=1)
    assert source.lacking(grid_of(), [DAY, after]).keys() == {after}
    assert "does not mean that there was no smoke" in source.lacking(grid_of(), [after])[after]
    np.testing.assert_array_equal(field(tmp_path), 0)


def test_an_empty_geojson_or_kml_is_no_smoke(tmp_path):
    (tmp_path / "hms_smoke20200912.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    write_hms(tmp_path, DAY + dt.timedelta(days=1), [], "kml")
    np.testing.assert_array_equal(field(tmp_path, [DAY, DAY + dt.timedelta(days=1)]), 0)


def test_a_ring_that_crosses_itself_is_mended(tmp_path):
    bow = shapely.Polygon([(-121, 36), (-119, 38), (-119, 36), (-121, 38)])
    assert not bow.is_valid
    write_hms(tmp_path, DAY, [(bow, "Light")], "geojson")
    plumes = read_plumes(tmp_path / "hms_smoke20200912.geojson")
    assert plumes.is_valid.all()
    assert shapely.area(plumes.geometry.values).sum() == pytest.approx(2.0)
    assert burn_plumes(plumes, grid_of()).max() == pytest.approx(5, abs=1e-4)


@pytest.mark.parametrize(
    ("density", "message"),
    [
        ("Thick", "density 'Thick', which is not light"),
        (11, "which is not light"),
        (None, "files before 2008"),
    ],
)
def test_an_unknown_density_is_refused(tmp_path, density, message):
    write_hms(tmp_path, DAY, [(EVERYWHERE, density)], "geojson")
    with pytest.raises(BadPredictors, match=message):
        field(tmp_path)


def test_swapped_axes_and_damage_are_named(tmp_path):
    write_hms(tmp_path, DAY, [(shapely.box(30, -130, 50, -105), "Light")], "geojson")
    with pytest.raises(BadPredictors, match="latitude and longitude are swapped"):
        field(tmp_path)
    (tmp_path / "hms_smoke20200912.geojson").write_text('{"type": "FeatureColl')
    with pytest.raises(BadPredictors, match=r"cannot read .*hms_smoke20200912\.geojson"):
        field(tmp_path)


def test_a_swapped_plume_of_the_east_is_not_taken_for_no_smoke(tmp_path):
    path = write_hms(tmp_path, DAY, [(shapely.box(30, -85, 40, -75), "Light")])
    with pytest.raises(BadPredictors, match="swapped"):
        read_plumes(path)


def test_longitudes_from_0_to_360_are_the_same_smoke(tmp_path):
    write_hms(tmp_path, DAY, [(shapely.box(230, 30, 255, 50), "Medium")])
    np.testing.assert_allclose(field(tmp_path), 16, atol=1e-4)


@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_shapefile_that_was_cut_off_is_refused(tmp_path, kept):
    path = write_hms(tmp_path, DAY, [(EVERYWHERE, "Light"), (WEST, "Medium"), (CORE, "Heavy")])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(BadPredictors, match="cut off"):
        read_plumes(path)


def test_a_file_that_names_no_day_is_one_line(tmp_path):
    path = write_hms(tmp_path, DAY, [(EVERYWHERE, "Light")], "geojson")
    path.rename(tmp_path / "hms_smoke20200230.geojson")
    with pytest.raises(BadPredictors, match="names no day"):
        field(tmp_path)


def test_a_shapefile_without_its_companions_is_named(tmp_path):
    path = write_hms(tmp_path, DAY, [(EVERYWHERE, "Light")])
    path.with_suffix(".dbf").unlink()
    with pytest.raises(BadPredictors, match=r"hms_smoke20200912\.shp"):
        field(tmp_path)


def test_a_folder_without_smoke_is_named(tmp_path):
    with pytest.raises(BadPredictors, match="holds no file of HMS smoke"):
        Hms(tmp_path).lacking(grid_of(), [DAY])


@pytest.mark.shared
def test_true_shapefiles_are_read_and_the_empty_day_is_no_smoke(shared_data):
    from pm25map.grid import load_grid

    grid, folder = load_grid("conus-10km"), shared_data / "providers" / "hms"
    days = [dt.date(2018, 12, 30), dt.date(2018, 12, 31), dt.date(2019, 1, 1)]
    got = field(folder, days, grid)
    assert got[0].max() == pytest.approx(5, abs=1e-3)
    assert got[1].max() == 0
    assert got[2].max() == pytest.approx(5, abs=1e-3)


@pytest.mark.shared
def test_true_geojson_shows_the_fires_of_new_mexico(shared_data):
    from pm25map.grid import load_grid

    grid = load_grid("conus-10km")
    source = Hms(shared_data / "hms_2022")
    assert source.lacking(grid, [dt.date(2021, 12, 7), dt.date(2022, 5, 10)]).keys() == {dt.date(2021, 12, 7)}
    got = source.fields(grid, [dt.date(2022, 5, 10)])["wildfire_smoke"][0]
    row, col = grid.cells_at([-105.2], [35.7])
    assert got[row, col] > 15

"""Rasters of other programs: masked, scaled and placed alike in every command, and without a look at another file."""

import datetime as dt

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from fastapi.testclient import TestClient
from looked_at import write_bands, write_map
from maps import address_grid, address_map
from pyproj import Geod, Transformer
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from pm25map.base.errors import BadMap, BadRaster, BadServer
from pm25map.cli.hotspots import command as hotspots
from pm25map.cli.info import command as info
from pm25map.diagnostics.hotspots import find_hotspots
from pm25map.exposure.maps import find_maps
from pm25map.grid import Grid, load_grid
from pm25map.grid.areas import areas_of, cell_areas
from pm25map.grid.geotiff import open_raster
from pm25map.raster.info import describe
from pm25map.scores.validate_maps import _cells
from pm25map.view.layers import read_map, read_maps
from pm25map.view.preview import picture_of
from pm25map.view.server.app import make_app
from pm25map.view.server.catalogue import read_catalogue
from pm25map.view.spots import read_population

GRID = address_grid()
LAND = np.round(address_map(GRID), 1)
NAN = float("nan")


def stored_again(path, map_path, *, dtype, nodata, scale=1.0, offset=0.0):
    """A map stored in another way, with all of its tags: the values are the same."""
    with rasterio.open(map_path) as source:
        values, tags, band = source.read(1), source.tags(), source.tags(1)
        profile = {"driver": "GTiff", "height": source.height, "width": source.width, "count": 1,
                   "crs": source.crs, "transform": source.transform}  # fmt: skip
        unit = source.units[0]
    numbers = np.where(np.isfinite(values), np.round((values - offset) / scale, 6), nodata)
    numbers = np.rint(numbers) if np.dtype(dtype).kind == "i" else numbers
    with rasterio.open(path, "w", **profile, dtype=dtype, nodata=nodata) as out:
        out.write(numbers.astype(dtype), 1)
        out.update_tags(**tags)
        out.update_tags(1, **band)
        out.set_band_unit(1, unit)
        out.scales, out.offsets = (scale,), (offset,)
    return path


@pytest.fixture(scope="module", params=["scaled", "nodata", "both"])
def stored(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    plain = write_map(tmp_path_factory.mktemp("plain") / "m.tif", GRID, LAND)
    how = {
        "scaled": {"dtype": "int16", "nodata": -32768, "scale": 0.1},
        "nodata": {"dtype": "float32", "nodata": -9999},
        "both": {"dtype": "int32", "nodata": -9999, "scale": 0.01, "offset": 5.0},
    }
    return stored_again(folder / "m.tif", plain, **how[request.param])


def test_every_reader_finds_the_values_that_the_stored_numbers_mean(stored):
    lonlat = Transformer.from_crs(GRID.crs, "OGC:CRS84", always_xy=True)
    x, y = GRID.xy()
    lon, lat = lonlat.transform(x[[30, 1]], y[[20, 1]])
    one = read_map(stored)
    np.testing.assert_allclose(one.layer("pm25").values, LAND, atol=1e-4)
    np.testing.assert_allclose(picture_of(stored).values, LAND, atol=1e-4)
    np.testing.assert_allclose(
        _cells([stored], np.asarray(lon), np.asarray(lat))["pm25_ugm3"], [LAND[20, 30], NAN], atol=1e-4
    )
    client = TestClient(make_app(read_catalogue(stored.parent)), base_url="http://127.0.0.1")
    said = client.get("/point", params={"lon": lon[0], "lat": lat[0]}).json()
    assert said["values"][0]["value"] == pytest.approx(LAND[20, 30], abs=1e-4)
    box = shapely.geometry.mapping(shapely.box(lon[0] - 1, lat[0] - 1, lon[0] + 1, lat[0] + 1))
    summed = client.post("/maps/m/statistics", json={"geometry": box}).json()
    assert LAND[20, 30] - 12 < summed["minimum"] < LAND[20, 30] < summed["maximum"] < LAND[20, 30] + 12


def test_a_tile_of_a_scaled_map_has_the_colours_of_the_plain_one(stored, tmp_path):
    write_map(tmp_path / "plain" / "m.tif", GRID, LAND)
    z, x, y = 7, 29, 50
    pictures = [
        TestClient(make_app(read_catalogue(folder)), base_url="http://127.0.0.1").get(
            f"/maps/m/tiles/{z}/{x}/{y}.png"
        )
        for folder in (tmp_path / "plain", stored.parent)
    ]
    assert pictures[0].status_code == 200
    assert pictures[0].content == pictures[1].content


@pytest.mark.parametrize("code", [-9999, -999, -99, 99999, 1e20])
def test_a_code_for_no_value_that_the_file_does_not_declare_is_no_concentration(tmp_path, code):
    plain = write_map(tmp_path / "plain.tif", GRID, LAND)
    (tmp_path / "maps").mkdir()
    path = stored_again(tmp_path / "maps" / "m.tif", plain, dtype="float32", nodata=code)
    assert read_map(path).layer("pm25").values.shape == LAND.shape
    with rasterio.open(path, "r+") as out:
        out.nodata = None
    lat, lon = np.array([44.0]), np.array([-121.0])
    whole = np.arange(LAND.size)
    for read in (
        lambda: read_map(path),
        lambda: _cells([path], lon, lat),
        lambda: find_maps([path]).values(dt.date(2020, 9, 12), whole),
        lambda: picture_of(path),
        lambda: read_catalogue(path.parent),
    ):
        with pytest.raises((BadMap, BadServer), match=r"holds \S+ ug/m3, which no air has"):
            read()


def test_a_mask_within_the_file_counts(tmp_path):
    values = np.full(GRID.shape, 7, np.float32)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_bands(tmp_path / "m.tif", {"x": (values, "")}, grid=GRID, nodata=None)
        with rasterio.open(path, "r+") as out:
            out.write_mask(GRID.land)
    with open_raster(path) as raster:
        found = raster.values(1)
    assert np.array_equal(np.isfinite(found), GRID.land)


def test_a_band_of_transparency_is_no_layer(tmp_path):
    path = write_bands(
        tmp_path / "m.tif", {"x": (LAND, "K"), "alpha": (np.full_like(LAND, 255), "")}, grid=GRID
    )
    with rasterio.open(path, "r+") as out:
        out.colorinterp = (rasterio.enums.ColorInterp.gray, rasterio.enums.ColorInterp.alpha)
    assert [layer.key for layer in read_map(path).layers] == ["x"]


@pytest.mark.parametrize("unit", ["kg m-3", "", "mg/m3"])
def test_pm25_of_another_unit_is_shown_and_never_taken_for_micrograms(tmp_path, unit):
    tags = {"standard_name": "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air", "NAME": "pm25"}
    path = write_bands(tmp_path / "m.tif", {"PM2.5": (LAND * 1e-9, unit, tags)}, grid=GRID)
    one = read_map(path)
    assert one.layer("pm25") is None
    assert (one.layers[0].kind, one.layers[0].unit) == ("number", unit)
    found = CliRunner().invoke(hotspots, [str(path)])
    assert "none of the files is a map" in str(found.exception)


def vrt_of(secret):
    return (
        '<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:5070</SRS>'
        "<GeoTransform>-300000, 10000, 0, 1700000, 0, -10000</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceBand>1</SourceBand>'
        f"<SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


@pytest.mark.parametrize("read", [read_map, describe, picture_of, lambda p: read_population(p, GRID)])
def test_a_raster_that_names_another_file_opens_nothing(tmp_path, read):
    secret = write_map(tmp_path / "secret.tif", GRID, LAND)
    trap = tmp_path / "trap.tif"
    trap.write_text(vrt_of(secret))
    with pytest.raises(BadMap, match="no GeoTIFF"):
        read(trap)


def test_a_grid_folder_whose_land_is_a_vrt_opens_nothing(tmp_path):
    from pm25map.base.errors import BadGrid
    from pm25map.grid.store import save_grid

    save_grid(GRID, tmp_path / "g")
    secret = (tmp_path / "g" / "land.tif").rename(tmp_path / "secret.tif")
    (tmp_path / "g" / "land.tif").write_text(vrt_of(secret))
    with pytest.raises(BadGrid, match="no GeoTIFF"):
        load_grid(tmp_path / "g")


def test_what_lies_beside_a_raster_is_not_followed(tmp_path):
    """GDAL reads a mask and overviews from the file that an .aux.xml names."""
    path = write_map(tmp_path / "m.tif", GRID, LAND)
    aux = path.with_name("m.tif.aux.xml")
    aux.write_text(
        "<PAMDataset><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>:::BASE:::trap.ovr</MDI></Metadata>"
        "<PAMRasterBand band='1'><Description>from beside</Description></PAMRasterBand></PAMDataset>"
    )
    (tmp_path / "trap.ovr").write_text(vrt_of(path))
    assert read_map(path).layers[0].label != "from beside"
    assert CliRunner().invoke(info, [str(path)]).exit_code == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("m.tif.aux.xml", "<PAMDataset><PAMRasterBand band='1'><Scale>0.1</Scale></PAMRasterBand></PAMDataset>",
         "says its Scale"),
        ("m.tif.aux.xml", "<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>", "says its SRS"),
        ("m.tif.msk", "anything", "its mask lies beside it"),
    ],
)  # fmt: skip
def test_a_file_beside_that_says_what_values_mean_is_no_silent_loss(tmp_path, name, text, words):
    path = write_map(tmp_path / "m.tif", GRID, LAND)
    (tmp_path / name).write_text(text)
    with pytest.raises(BadMap, match=words):
        read_map(path)


def points(path):
    corners = [GroundControlPoint(0, 0, -100, 40), GroundControlPoint(0, 60, -99, 40),
               GroundControlPoint(40, 0, -100, 39)]  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", height=40, width=60, count=1, dtype="float32") as out:
        out.write(LAND, 1)
        out.gcps = corners, rasterio.crs.CRS.from_epsg(4326)


def bare(crs, transform):
    return lambda path: write_bands(path, {"x": (LAND, "")}, crs=crs, transform=transform)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (points, "3 ground control points"),
        (bare("EPSG:5070", Affine(1, 0.1, 0, 0.1, -1, 0)), "not north up"),
        (bare("EPSG:5070", Affine(1e4, 0, 0, 0, 1e4, 0)), "not north up"),
        (bare("EPSG:5070", None), "does not say where its cells lie"),
        (bare('LOCAL_CS["a mine",UNIT["metre",1]]', Affine(1, 0, 0, 0, -1, 0)), "not tied to the earth"),
        (bare("EPSG:4326", Affine(1, 0, 230, 0, -1, 50)), "230 to 290 degrees east"),
        (bare("EPSG:4326", Affine(1, 0, -120, 0, -1, 120)), "120 north"),
        (bare("EPSG:4807", Affine(1, 0, -20, 0, -1, 50)), "counts in grads"),
    ],
)
def test_a_place_that_cannot_be_followed_is_one_clear_line(tmp_path, make, words):
    make(tmp_path / "x.tif")
    for refusal in (BadMap, BadRaster):
        with (
            pytest.raises(refusal, match=words) as caught,
            open_raster(tmp_path / "x.tif", refusal) as raster,
        ):
            assert raster.place
        assert "\n" not in str(caught.value)
    with pytest.raises(BadMap, match=words):
        read_maps([tmp_path / "x.tif"])


# People -------------------------------------------------------------------------------------------------------------

DEGREES = Affine(0.05, 0, -104, 0, -0.05, 42)


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("people", "people per km2", 1),
        ("people", "km-2", 1),
        ("people", "persons/km²", 1),
        ("Population density, persons per square kilometer", "", 1),
        ("people", "1 ha-1", 100),
        ("people", "m-2", 1e6),
    ],
)
def test_a_density_of_people_is_multiplied_by_areas(tmp_path, name, unit, factor):
    path = write_bands(
        tmp_path / "p.tif",
        {name: (np.full((120, 160), 3.0, np.float32), unit)},
        crs="EPSG:4326",
        transform=DEGREES,
    )
    ring = [(-104, 36), (-96, 36), (-96, 42), (-104, 42)]
    dense = shapely.get_coordinates(shapely.segmentize(shapely.Polygon(ring), 0.01))
    area = abs(Geod(ellps="WGS84").polygon_area_perimeter(dense[:, 0], dense[:, 1])[0]) / 1e6
    grid = Grid("p", "EPSG:4326", (0.5, 0, -105, 0, -0.5, 43), (16, 20), 64, np.ones((16, 20), bool))
    assert read_population(path, grid).sum() == pytest.approx(3 * factor * area, rel=2e-3)


def test_a_density_of_no_known_unit_is_refused(tmp_path):
    path = write_bands(
        tmp_path / "p.tif",
        {"Population density": (np.ones((4, 4), np.float32), "")},
        crs="EPSG:4326",
        transform=DEGREES,
    )
    with pytest.raises(BadMap, match=r"is a density .* set the band's unit"):
        read_population(path, GRID)


def test_scaled_people_keep_their_sum(tmp_path):
    counts = np.full((120, 160), 5, np.int32)
    path = write_bands(
        tmp_path / "p.tif", {"people": (counts, "1")}, crs="EPSG:4326", transform=DEGREES, nodata=-1
    )
    with rasterio.open(path, "r+") as out:
        out.scales = (10.0,)
    grid = Grid("p", "EPSG:4326", (0.5, 0, -105, 0, -0.5, 43), (16, 20), 64, np.ones((16, 20), bool))
    assert read_population(path, grid).sum() == pytest.approx(120 * 160 * 50, rel=2e-3)


# Areas --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        ("EPSG:5070", (10_000.0, 0.0, -2_360_000.0, 0.0, -10_000.0, 3_180_000.0), (292, 462)),
        ("EPSG:3857", (10_000.0, 0.0, -13_900_000.0, 0.0, -10_000.0, 6_300_000.0), (330, 640)),
        ("EPSG:3395", (2_000.0, 0.0, -13_900_000.0, 0.0, -2_000.0, 6_300_000.0), (600, 640)),
        ("EPSG:32610", (1_000.0, 0.0, 200_000.0, 0.0, -1_000.0, 5_200_000.0), (600, 600)),
        ("ESRI:102009", (5_000.0, 0.0, -2_360_000.0, 0.0, -5_000.0, 1_500_000.0), (500, 900)),
        ("EPSG:4326", (0.1, 0.0, -125.0, 0.0, -0.1, 50.0), (250, 580)),
    ],
)
def test_areas_of_cells_are_geodesic_in_any_projection(crs, transform, shape):
    """The oracle is GeographicLib through pyproj, along outlines with many vertices."""
    areas = areas_of(crs, transform, shape)
    a, _, c, _, e, f = transform
    side = np.linspace(0, 1, 100, endpoint=False)
    u = np.concatenate([side, np.ones(100), 1 - side, np.zeros(100)])
    v = np.concatenate([np.zeros(100), side, np.ones(100), 1 - side])
    to_lonlat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    for row, col in ((0, 0), (shape[0] // 2, shape[1] // 3), (shape[0] - 1, shape[1] - 1)):
        lon, lat = to_lonlat.transform(c + a * (col + u), f + e * (row + v))
        oracle = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 1e6
        assert areas[row, col] == pytest.approx(oracle, rel=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:5070", "EPSG:4326", "EPSG:3395", "EPSG:3857"])
def test_a_city_is_as_large_and_of_one_kind_in_every_projection(tmp_path, crs):
    """A disc of 60 km around a place in Washington: 11,310 km2."""
    from test_preview import conus

    grid = conus()
    row, col = (int(v[0]) for v in grid.cells_at([-122.0], [47.4]))
    rows, cols = np.indices(grid.shape)
    pm25 = np.where(grid.land, 6, np.nan).astype(np.float32)
    pm25[(np.hypot(rows - row, cols - col) * 10 < 60) & grid.land] = 45
    path = write_bands(tmp_path / "m.tif", {"PM2.5": (pm25, "ug m-3")}, grid=grid)
    with rasterio.open(path) as source, WarpedVRT(source, crs=crs) as warped:
        values = warped.read(1)
        moved = Grid("m", crs, tuple(warped.transform[:6]), values.shape, 64, np.isfinite(values))
    spots = find_hotspots(values[None], moved, [dt.date(2020, 9, 12)])
    hot = float(cell_areas(moved)[values == 45].sum())
    assert [spot.kind for spot in spots] == ["urban"]
    assert spots[0].area_km2 == pytest.approx(hot)
    assert hot == pytest.approx((pm25 == 45).sum() * 100, rel=0.03)


def test_every_statistic_of_a_polygon_has_the_same_weights(tmp_path):
    """Cells in degrees grow smaller to the north: a third of the area holds the value 9, a third of the cells not."""
    values = np.where(np.arange(60)[:, None] < 30, 9, 1).repeat(40, axis=1).astype(np.float32)
    at = Affine(0.5, 0, -110, 0, -1.0, 80)
    write_bands(tmp_path / "m.tif", {"PM2.5": (values, "ug m-3")}, crs="EPSG:4326", transform=at)
    client = TestClient(make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1")
    box = shapely.geometry.mapping(shapely.box(-109.9, 20.1, -90.1, 79.9))
    key = client.get("/maps").json()["maps"][0]["layers"][0]["key"]
    said = client.post("/maps/m/statistics", json={"geometry": box}, params={"layer": key}).json()
    share = (np.sin(np.radians(80)) - np.sin(np.radians(50))) / (
        np.sin(np.radians(80)) - np.sin(np.radians(20))
    )
    assert said["cells"] == 2400
    assert said["mean"] == pytest.approx(1 + 8 * share, abs=0.02)
    assert said["median"] == 1, "half of the cells are 9, and less than half of the area"
    assert said["class_percent"]["Good"] == pytest.approx(100 * 1.0)

"""Where a grid is: outlines and boxes in degrees against densified edges, over the date line and around the poles."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import shape

from pm25map.base.errors import BadGrid
from pm25map.grid.build import DEFINITIONS, MODIS_SINUSOIDAL, build_grid
from pm25map.grid.outline import around, outline_of

ALBERS, ALASKA, ARCTIC, ANTARCTIC = "EPSG:5070", "EPSG:3338", "EPSG:3413", "EPSG:3031"
CENTRES = {
    ALBERS: (-96, 38),
    ALASKA: (-160, 60),
    ARCTIC: (-45, 80),
    ANTARCTIC: (0, -80),
    "EPSG:32610": (-123, 45),
    "EPSG:32660": (177, 60),
    "EPSG:3857": (-96, 38),
    "EPSG:3571": (180, 75),
    "EPSG:2193": (173, -41),
    MODIS_SINUSOIDAL: (-96, 38),
}
"""Systems, and where they are at home."""


def bounds_at(crs, lon, lat, width, height):
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def inner_points(crs, bounds, count=60):
    """Points all over a rectangle, its rim among them: degrees, and which of them are places."""
    left, bottom, right, top = bounds
    x, y = np.meshgrid(np.linspace(left, right, count), np.linspace(bottom, top, count))
    lon, lat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x.ravel(), y.ravel())
    return np.asarray(lon), np.asarray(lat)


def in_box(box, lon, lat, slack):
    west, south, east, north = box
    width = (east - west) % 360 or 360
    return ((lon - west + slack) % 360 <= width + 2 * slack) & (lat >= south - slack) & (lat <= north + slack)


@settings(max_examples=150, deadline=None)
@given(
    crs=st.sampled_from(sorted(CENTRES)),
    east=st.floats(-25, 25),
    north=st.floats(-8, 8),
    width=st.floats(1, 3e6),
    height=st.floats(1, 3e6),
)
@example(crs=ALASKA, east=-25.0, north=0.0, width=3e6, height=1e6)
@example(crs=ARCTIC, east=0.0, north=8.0, width=3e6, height=3e6)
@example(crs=ANTARCTIC, east=0.0, north=-8.0, width=3e6, height=2e6)
@example(crs="EPSG:32660", east=3.0, north=0.0, width=4e5, height=4e5)
@example(crs=ALBERS, east=0.0, north=0.0, width=1.0, height=1.0)
def test_outline_and_box_hold_every_point_of_the_rectangle_and_no_more(crs, east, north, width, height):
    # A strip a metre wide and a thousand km long is no grid: its edges meet where degrees are rounded.
    assume(min(width, height) * 1000 >= max(width, height))
    lon, lat = CENTRES[crs]
    bounds = bounds_at(crs, (lon + east + 180) % 360 - 180, lat + north, width, height)
    assume(np.isfinite(bounds).all())
    try:
        geometry, box = outline_of(crs, bounds)
    except BadGrid:
        assume(False)
    lon, lat = inner_points(crs, bounds)
    size = max(width, height) / 111e3
    slack = 1e-4 * size + 1e-9
    assert in_box(box, lon, lat, slack).all()
    outline = shape(geometry)
    assert outline.is_valid
    west, south, right, top = outline.bounds
    assert -180 <= west <= right <= 180
    assert -90 <= south <= top <= 90
    # Between its corners an outline is straight, and an edge of the rectangle is not.
    near = shapely.buffer(outline, 0.003 * size + 1e-9) if abs(lat).max() < 80 else None
    if near is not None:
        assert shapely.contains_xy(near, lon, lat).all()
    # The box is the smallest: its sides are reached.
    assert lat.min() <= box[1] + 0.05 * size or box[1] == -90
    assert lat.max() >= box[3] - 0.05 * size or box[3] == 90


def test_conus_is_where_pyproj_says_it_is():
    bounds = (-2_356_000.0, 272_000.0, 2_258_000.0, 3_172_000.0)
    _, box = outline_of(ALBERS, bounds)
    wanted = Transformer.from_crs(ALBERS, "OGC:CRS84", always_xy=True).transform_bounds(
        *bounds, densify_pts=4096
    )
    np.testing.assert_allclose(box, wanted, atol=1e-5)


def test_a_grid_over_the_date_line_is_cut_there_and_its_box_goes_from_west_to_east():
    geometry, box = outline_of(ALASKA, (-2_500_000.0, 200_000.0, 1_500_000.0, 2_500_000.0))
    west, _, east, _ = box
    assert 0 < west < 180
    assert -180 < east < 0
    assert geometry["type"] == "MultiPolygon"
    outline = shape(geometry)
    assert outline.contains(shapely.Point(179, 53))
    assert outline.contains(shapely.Point(-150, 61))
    assert not outline.contains(shapely.Point(0, 53))


@pytest.mark.parametrize(("crs", "pole"), [(ARCTIC, 90), (ANTARCTIC, -90)])
def test_a_grid_around_a_pole_reaches_all_around_and_up_to_it(crs, pole):
    geometry, box = outline_of(crs, (-1e6, -1e6, 1e6, 1e6))
    assert (box[0], box[2]) == (-180, 180)
    assert pole in box
    outline = shape(geometry)
    assert outline.is_valid
    for lon in (-179, -90, 0, 90, 179):
        assert outline.contains(shapely.Point(lon, pole * 0.98))
        assert not outline.contains(shapely.Point(lon, pole * 0.7))


def test_a_grid_whose_edge_is_a_pole_holds_it():
    geometry, box = outline_of(ARCTIC, (0.0, -1e6, 1e6, 1e6))
    assert box[3] == 90
    assert shape(geometry).contains(shapely.Point(-45 + 90, 85))


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:3857", (-20_040_000.0, 0.0, 20_040_000.0, 1e6)),
        (MODIS_SINUSOIDAL, (-2e7, 5e6, -1e7, 8e6)),
        ("EPSG:5070", (-1e7, 0.0, 1e7, 1.2e7)),
    ],
)
def test_a_grid_whose_edge_leaves_the_earth_is_refused(crs, bounds):
    with pytest.raises(BadGrid, match="no place on the earth"):
        outline_of(crs, bounds)


def test_grid_build_refuses_what_no_map_could_describe():
    aleutians = shapely.MultiPolygon([shapely.box(172, 51, 179.9, 54), shapely.box(-179.9, 51, -150, 62)])
    with pytest.raises(BadGrid, match="no place on the earth"):
        build_grid("world", "EPSG:3857", 50_000, aleutians)
    assert build_grid("alaska", ALASKA, 50_000, aleutians).cell_count > 100
    with pytest.raises(BadGrid, match="east and north"):
        build_grid("south", "EPSG:2048", 10_000, shapely.box(18.5, -30, 19.5, -29))


def test_every_grid_that_is_defined_has_an_outline():
    from pm25map.grid.regions import conus_boundary

    for name, recipe in DEFINITIONS.items():
        if recipe.step_m > 5_000 or name == "conus-modis-1km":
            grid = build_grid(name, recipe.crs, 20_000, conus_boundary())
            _, (west, south, east, north) = outline_of(grid.crs, grid.bounds)
            assert -175 < west < -124.7
            assert 20 < south < 24.6
            assert -67 < east < -35
            assert 49.3 < north < 53


@pytest.mark.parametrize(
    ("boxes", "wanted"),
    [
        ([(-120, 40, -110, 45), (-100, 30, -90, 42)], [-120, 30, -90, 45]),
        ([(170, 50, -170, 60), (-175, 40, -160, 55)], [170, 40, -160, 60]),
        ([(170, 50, 179, 60), (-179, 50, -170, 60)], [170, 50, -170, 60]),
        ([(-180, 60, 180, 90), (-120, 40, -110, 45)], [-180, 40, 180, 90]),
        ([(0, 0, 170, 1), (160, 0, -30, 1), (-40, 0, 10, 1)], [-180, 0, 180, 1]),
    ],
)
def test_the_box_around_boxes_is_the_smallest_on_a_round_earth(boxes, wanted):
    assert around(boxes) == pytest.approx(wanted)

"""Rasters of a user's own: their scale, offset, nodata and unit are honoured, and what is no value is refused."""

import numpy as np
import pytest
import rasterio
from predictor_world import small_grid
from test_sources import rasters, write_raster  # noqa: F401 - a fixture

from pm25map.base.errors import BadPredictors, UnknownName
from pm25map.predictors.sources import static
from pm25map.predictors.sources.static import static_layers

RAIN = static.FILES["precipitation_climatology"][0]
WARMTH = static.FILES["t2m_climatology"][0]
NDVI = static.FILES["ndvi_maximum"][0]


def layer(folder, name):
    ((got, values),) = static_layers(folder, small_grid(), (name,))
    assert got == name
    return values


def declare(path, **attributes):
    with rasterio.open(path, "r+") as raster:
        for name, value in attributes.items():
            setattr(raster, name, (value,) * raster.count)


def stored_again(path, *, scale, offset=0.0, dtype="int16"):
    """Store a raster as steps of a scale above an offset."""
    with rasterio.open(path) as raster:
        values = raster.read()
    write_raster(path, np.rint((values - offset) / scale), dtype=dtype, nodata=-32768)
    declare(path, scales=scale, offsets=offset)


def test_rain_stored_as_int16_in_tenths_is_not_ten_times_as_much(rasters):  # noqa: F811
    write_raster(rasters / RAIN, np.full((12, 80, 120), 130.48))
    stored_again(rasters / RAIN, scale=0.1)
    july = layer(rasters, "precipitation_climatology")[6][small_grid().land]
    np.testing.assert_allclose(july, 130.5, atol=1e-4)  # mm/month; 1304.8 without the scale


@pytest.mark.parametrize(
    ("name", "scale", "offset"),
    [
        ("t2m_climatology", 0.01, 273.15),
        ("ndvi_maximum", 0.0001, 0.0),
        ("elevation", 0.5, 1000.0),
        ("linke_turbidity", 0.05, 0.0),
    ],
)
def test_a_raster_in_steps_is_the_raster(rasters, name, scale, offset):  # noqa: F811
    plain = layer(rasters, name)
    path = rasters / static.FILES[name][0]
    if name == "linke_turbidity":
        # Kept times 20 where no scale is declared, and in its own unit where one is.
        declare(path, scales=scale)
    else:
        stored_again(path, scale=scale, offset=offset)
    land = small_grid().land
    np.testing.assert_allclose(layer(rasters, name)[..., land], plain[..., land], atol=scale)


def test_kelvin_become_degrees_celsius_and_feet_metres(rasters):  # noqa: F811
    write_raster(rasters / WARMTH, np.full((12, 80, 120), 283.15))
    declare(rasters / WARMTH, units="K")
    np.testing.assert_allclose(layer(rasters, "t2m_climatology")[0][small_grid().land], 10, atol=1e-3)
    write_raster(rasters / static.ELEVATION, np.full((1, 80, 120), 5000.0))
    declare(rasters / static.ELEVATION, units="ft")
    np.testing.assert_allclose(layer(rasters, "elevation")[small_grid().land], 1524, atol=0.1)


def test_kelvin_that_say_no_unit_are_refused(rasters):  # noqa: F811
    write_raster(rasters / WARMTH, np.full((12, 80, 120), 283.15))
    with pytest.raises(BadPredictors, match=r"t2m_climatology is 283\.15 degC in .*Check the unit"):
        layer(rasters, "t2m_climatology")


def test_a_unit_of_another_kind_is_refused(rasters):  # noqa: F811
    declare(rasters / RAIN, units="degC")
    with pytest.raises(BadPredictors, match=r"band 1 of .* is in 'degC', which cannot become 'mm month-1'"):
        layer(rasters, "precipitation_climatology")


def test_nodata_is_missing_and_undeclared_nodata_is_refused(rasters):  # noqa: F811
    values = np.full((1, 80, 120), 300.0)
    values[0, ::7, ::7] = -9999
    write_raster(rasters / static.ELEVATION, values, nodata=-9999)
    np.testing.assert_allclose(layer(rasters, "elevation")[small_grid().land], 300)
    # Averaged with its neighbours, one of them would be a valley at -100 m.
    write_raster(rasters / static.ELEVATION, values)
    with pytest.raises(BadPredictors, match=r"elevation is -9999 m in .*elevation_5arcmin\.tif"):
        layer(rasters, "elevation")


def test_a_class_that_igbp_does_not_have_is_refused(rasters):  # noqa: F811
    classes = np.full((1, 80, 120), 5)
    classes[0, 3, 4] = 254
    write_raster(rasters / static.LAND_COVER, classes, dtype="uint8", nodata=255)
    with pytest.raises(BadPredictors, match="holds class 254 in 1 cells, and IGBP has 0 to 16"):
        layer(rasters, "landcover_forest")


@pytest.mark.parametrize("scale", [0.0, np.nan])
def test_a_scale_that_makes_no_value_is_refused(rasters, scale):  # noqa: F811
    declare(rasters / NDVI, scales=scale)
    with pytest.raises(BadPredictors, match="declares a scale of"):
        layer(rasters, "ndvi_maximum")


def test_a_virtual_raster_named_as_a_geotiff_is_not_followed(rasters):  # noqa: F811
    (rasters / "elsewhere.tif").write_bytes((rasters / NDVI).read_bytes())
    (rasters / NDVI).write_text(
        '<VRTDataset rasterXSize="120" rasterYSize="80"><SRS>EPSG:4326</SRS>'
        "<GeoTransform>-98, 0.05, 0, 42, 0, -0.05</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{rasters / 'elsewhere.tif'}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(BadPredictors, match=rf"cannot read .*{NDVI} as a GeoTIFF"):
        layer(rasters, "ndvi_maximum")


def test_only_the_layers_that_are_named_are_read(rasters):  # noqa: F811
    for path in rasters.iterdir():
        if path.name not in (NDVI, RAIN):
            path.unlink()
    names = [
        name
        for name, _ in static_layers(rasters, small_grid(), ("precipitation_climatology", "ndvi_maximum"))
    ]
    assert names == ["ndvi_maximum", "precipitation_climatology"]
    with pytest.raises(UnknownName, match="no static layer is called 'height'"):
        next(static_layers(rasters, small_grid(), ("height",)))


def test_a_gap_in_one_month_is_none_in_the_others(rasters):  # noqa: F811
    values = np.broadcast_to(np.arange(12.0)[:, None, None], (12, 80, 120)).copy()
    values[3, 36:42, 30:38] = np.nan
    write_raster(rasters / WARMTH, values, nodata=np.nan)
    months = layer(rasters, "t2m_climatology")[:, small_grid().land]  # (month, cell)
    np.testing.assert_allclose(months, np.broadcast_to(np.arange(12.0)[:, None], months.shape), atol=1e-5)

"""Small files in the providers' own formats, of invented values: names, attributes, packing and axes are true."""

import datetime as dt

import geopandas
import netCDF4
import numpy as np
import rasterio
import shapely
from pyhdf.SD import SD, SDC
from pyproj import CRS, Transformer

TILE_M = 1111950.5196666666
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
DAYMET_CRS = (
    "+proj=lcc +lat_1=25 +lat_2=60 +lat_0=42.5 +lon_0=-100 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
)

BEST = 0b0000_0000_0001
"""AOD_QA: clear, land, best quality."""
CLOUDY = 0b0101_0000_0011
NEAR_CLOUD = 0b0011_0010_0001


def metadata(product, collection, tile, side):
    """Write the three text attributes that every HDF-EOS granule has, as far as a reader needs them."""
    west, north = (tile[0] - 18) * TILE_M, (9 - tile[1]) * TILE_M
    struct = (
        "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n"
        f'\t\tGridName="grid1km"\n\t\tXDim={side}\n\t\tYDim={side}\n'
        f"\t\tUpperLeftPointMtrs=({west:.6f},{north:.6f})\n"
        f"\t\tLowerRightMtrs=({west + TILE_M:.6f},{north - TILE_M:.6f})\n\t\tProjection=GCTP_SNSOID\n"
        "\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n\t\tSphereCode=-1\n\tEND_GROUP=GRID_1\n"
        "END_GROUP=GridStructure\nEND\n"
    )
    core = "\nGROUP                  = INVENTORYMETADATA\n  GROUP                  = COLLECTIONDESCRIPTIONCLASS\n"
    for name, value in (("SHORTNAME", f'"{product}"'), ("VERSIONID", collection)):
        core += f"    OBJECT                 = {name}\n      NUM_VAL              = 1\n"
        core += f"      VALUE                = {value}\n    END_OBJECT             = {name}\n"
    return {"StructMetadata.0": struct, "CoreMetadata.0": core, "HDFEOSVersion": "HDFEOS_V2.19"}


def granule_name(product, day, tile, collection=61):
    return f"{product}.A{day:%Y%j}.h{tile[0]:02d}v{tile[1]:02d}.{collection:03d}.2023149072031.hdf"


def write_granule(path, product, collection, tile, datasets, extra=None, without=()):
    """Write an HDF4 granule without some attributes. Datasets: name to (values, attributes, names of dimensions)."""
    held = SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    kinds = {"int16": SDC.INT16, "uint16": SDC.UINT16, "uint8": SDC.UINT8, "int8": SDC.INT8}
    side = next(iter(datasets.values()))[0].shape[-1]
    for key, text in {**metadata(product, collection, tile, side), **(extra or {})}.items():
        setattr(held, key, text)
    for name, (values, attributes, dimensions) in datasets.items():
        kind = kinds[str(values.dtype)]
        dataset = held.create(name, kind, values.shape)
        dataset.setcompress(SDC.COMP_DEFLATE, value=2)
        for number, dimension in enumerate(dimensions):
            dataset.dim(number).setname(dimension)
        for key, value in attributes.items():
            if key in without:
                continue
            if key in ("_FillValue", "valid_range"):
                dataset.attr(key).set(kind, value)
            elif isinstance(value, str):
                dataset.attr(key).set(SDC.CHAR, value)
            else:
                dataset.attr(key).set(SDC.FLOAT64, value)
        dataset[:] = values
        dataset.endaccess()
    held.end()
    return path


def write_maiac(folder, day, tile, aod_047, aod_055, quality, collection=61, product="MCD19A2", without=()):
    """Write MCD19A2: optical depths (orbit, y, x), NaN as fill; AOD_QA as given."""
    folder.mkdir(parents=True, exist_ok=True)
    dims = ("Orbits:grid1km", "YDim:grid1km", "XDim:grid1km")
    about = {"scale_factor": 0.001, "add_offset": 0.0, "unit": "none", "_FillValue": -28672}
    about |= {"valid_range": [-100, 8000]}
    datasets = {}
    for name, values in (("Optical_Depth_047", aod_047), ("Optical_Depth_055", aod_055)):
        stored = np.where(np.isnan(values), -28672, np.rint(np.nan_to_num(values) * 1000)).astype(np.int16)
        datasets[name] = (stored, {"long_name": f"AOD at 0.{name[-2:]} micron", **about}, dims)
    flags = {"long_name": "AOD QA", "unit": "none", "_FillValue": 0, "valid_range": [1, 65535]}
    datasets["AOD_QA"] = (np.asarray(quality, dtype=np.uint16), flags, dims)
    stamps = "".join(f"{day:%Y%j}{17 + i:02d}05{'TA'[i % 2]}  " for i in range(len(aod_047)))
    extra = {"Orbit_amount": str(len(aod_047)), "Orbit_time_stamp": stamps}
    path = folder / granule_name("MCD19A2", day, tile, collection)
    return write_granule(path, product, collection, tile, datasets, extra, without)


def write_nbar(folder, day, tile, red, infrared, quality):
    """Write MCD43A4: bands 1 and 2 as reflectance, NaN as fill, one quality for both."""
    folder.mkdir(parents=True, exist_ok=True)
    dims = ("YDim:MOD_Grid_BRDF", "XDim:MOD_Grid_BRDF")
    about = {"scale_factor": 0.0001, "add_offset": 0.0, "units": "reflectance, no units"}
    about |= {"_FillValue": 32767, "valid_range": [0, 32766]}
    datasets = {}
    for band, values in ((1, red), (2, infrared)):
        stored = np.where(np.isnan(values), 32767, np.rint(np.nan_to_num(values) * 10_000)).astype(np.int16)
        datasets[f"Nadir_Reflectance_Band{band}"] = (stored, about, dims)
        flags = {"long_name": "quality", "_FillValue": 255, "valid_range": [0, 254]}
        flags_of = np.asarray(quality, dtype=np.uint8)
        datasets[f"BRDF_Albedo_Band_Mandatory_Quality_Band{band}"] = (flags_of, flags, dims)
    return write_granule(folder / granule_name("MCD43A4", day, tile), "MCD43A4", 61, tile, datasets)


def write_vegetation(folder, day, tile, ndvi, reliability, without=()):
    """Write MOD13A2: NDVI x 10000 with the scale factor that divides, and the rank of its reliability."""
    folder.mkdir(parents=True, exist_ok=True)
    dims = ("YDim:MODIS_Grid_16DAY_1km_VI", "XDim:MODIS_Grid_16DAY_1km_VI")
    about = {"scale_factor": 10000.0, "add_offset": 0.0, "units": "NDVI", "_FillValue": -3000}
    stored = np.where(np.isnan(ndvi), -3000, np.rint(np.nan_to_num(ndvi) * 10_000)).astype(np.int16)
    rank = {"units": "rank", "_FillValue": -1, "valid_range": [0, 3]}
    datasets = {
        "1 km 16 days NDVI": (stored, {**about, "valid_range": [-2000, 10000]}, dims),
        "1 km 16 days pixel reliability": (np.asarray(reliability, dtype=np.int8), rank, dims),
    }
    path = folder / granule_name("MOD13A2", day, tile)
    return write_granule(path, "MOD13A2", 61, tile, datasets, without=without)


def tile_lonlat(tile, side):
    """Give longitude and latitude of the pixel centres of a tile: (y, x) each."""
    pixel = TILE_M / side
    x = (tile[0] - 18) * TILE_M + (np.arange(side) + 0.5) * pixel
    y = (9 - tile[1]) * TILE_M - (np.arange(side) + 0.5) * pixel
    transformer = Transformer.from_crs(SINUSOIDAL, "OGC:CRS84", always_xy=True)
    return transformer.transform(*np.meshgrid(x, y))


def days_of_year(year, leap_day_kept=True):
    """List the days of a year; without 31 December of leap years where Daymet counts."""
    length = (dt.date(year + 1, 1, 1) - dt.date(year, 1, 1)).days
    return [dt.date(year, 1, 1) + dt.timedelta(days=i) for i in range(length if leap_day_kept else 365)]


def write_daymet(folder, name, year, x, y, values, days, units):
    """Write a Daymet V4 file: values (day, y, x) on its Lambert grid; x grows, y falls, metres."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"daymet_v4_daily_na_{name}_{year}.nc"
    lon, lat = Transformer.from_crs(DAYMET_CRS, "OGC:CRS84", always_xy=True).transform(*np.meshgrid(x, y))
    with netCDF4.Dataset(path, "w") as held:
        for dimension, size in (("time", None), ("y", len(y)), ("x", len(x))):
            held.createDimension(dimension, size)
        mapping = held.createVariable("lambert_conformal_conic", "i2")
        mapping.setncatts(
            {
                "grid_mapping_name": "lambert_conformal_conic",
                "longitude_of_central_meridian": -100.0,
                "latitude_of_projection_origin": 42.5,
                "false_easting": 0.0,
                "false_northing": 0.0,
                "standard_parallel": np.array([25.0, 60.0]),
                "semi_major_axis": 6378137.0,
                "inverse_flattening": 298.257223563,
            }
        )
        time = held.createVariable("time", "f4", ("time",))
        time.setncatts({"units": "days since 1950-01-01 00:00:00", "calendar": "standard"})
        time[:] = [(day - dt.date(1950, 1, 1)).days + 0.5 for day in days]
        for axis, centres in (("y", y), ("x", x)):
            variable = held.createVariable(axis, "f4", (axis,))
            variable.setncatts({"units": "m", "standard_name": f"projection_{axis}_coordinate"})
            variable[:] = centres
        for axis, place in (("lat", lat), ("lon", lon)):
            variable = held.createVariable(axis, "f4", ("y", "x"))
            variable.units = "degrees_north" if axis == "lat" else "degrees_east"
            variable[:] = place
        size = (1, min(len(y), 1000), min(len(x), 1000))
        data = held.createVariable(
            name, "f4", ("time", "y", "x"), fill_value=-9999.0, zlib=True, complevel=1, chunksizes=size
        )
        data.setncatts({"units": units, "grid_mapping": "lambert_conformal_conic", "coordinates": "lat lon"})
        for slot, layer in enumerate(values):
            data[slot] = np.where(np.isnan(layer), -9999.0, layer)
    return path


GRIDMET = {
    "th": ("wind_from_direction", "Degrees Clockwise from north", 1.0, 0.0),
    "vs": ("wind_speed", "m/s", 0.1, 0.0),
    "tmmx": ("air_temperature", "K", 0.1, 220.0),
    "pr": ("precipitation_amount", "mm", 0.1, 0.0),
    "rmax": ("relative_humidity", "%", 0.1, 0.0),
    "sph": ("specific_humidity", "kg/kg", 0.00001, 0.0),
}


def write_gridmet(folder, short, year, lon, lat, values, days, **changes):
    """Write a gridMET file: values (day, lat, lon) packed to uint16; lat falls."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset, units, scale, offset = GRIDMET[short]
    path = folder / f"{short}_{year}.nc"
    with netCDF4.Dataset(path, "w") as held:
        for axis, centres in (("lat", lat), ("lon", lon)):
            held.createDimension(axis, len(centres))
            variable = held.createVariable(axis, "f8", (axis,))
            variable.units = "degrees_north" if axis == "lat" else "degrees_east"
            variable[:] = centres
        held.createDimension("day", len(days))
        time = held.createVariable("day", "f8", ("day",))
        time.setncatts({"units": "days since 1900-01-01 00:00:00", "calendar": "gregorian"})
        time[:] = [(day - dt.date(1900, 1, 1)).days for day in days]
        data = held.createVariable(dataset, "u2", ("day", "lat", "lon"), fill_value=32767, zlib=True)
        about = {
            "units": units,
            "scale_factor": scale,
            "add_offset": offset,
            "missing_value": np.int16(32767),
        }
        data.setncatts({**about, **changes})
        data.set_auto_maskandscale(False)
        stored = np.rint((np.nan_to_num(values) - offset) / scale)
        data[:] = np.where(np.isnan(values), 32767, stored).astype(np.uint16)
    return path


def write_latlon(path, name, lon, lat, values, times, time_units, **attributes):
    """Write any field (time, lat, lon) as float32 with its attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "a" if path.exists() else "w") as held:
        if "lat" not in held.dimensions:
            for axis, centres in (("lat", lat), ("lon", lon)):
                held.createDimension(axis, len(centres))
                held.createVariable(axis, "f8", (axis,))[:] = centres
            held.createDimension("time", len(times))
            time = held.createVariable("time", "f8", ("time",))
            time.units = time_units
            time[:] = times
        data = held.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=np.float32(1e15))
        data.setncatts(attributes)
        data[:] = np.where(np.isnan(values), 1e15, values)
    return path


def write_gmted(path, lon, lat, values, nodata=-32768):
    """Write elevation as a GeoTIFF in degrees: centres lon (growing) and lat (falling)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    step = lon[1] - lon[0]
    transform = rasterio.transform.from_origin(lon[0] - step / 2, lat[0] + step / 2, step, step)
    stored = np.where(np.isnan(values), nodata, np.rint(np.nan_to_num(values))).astype(np.int16)
    profile = {"driver": "GTiff", "dtype": "int16", "count": 1, "nodata": nodata, "crs": "EPSG:4326"}
    height, width = values.shape
    with rasterio.open(path, "w", **profile, height=height, width=width, transform=transform) as raster:
        raster.write(stored, 1)
    return path


def write_hms(folder, day, plumes, kind="shp"):
    """Write plumes, a list of (polygon in degrees, density), as NOAA does in one of its formats."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"hms_smoke{day:%Y%m%d}"
    shapes, densities = [shape for shape, _ in plumes], [density for _, density in plumes]
    table = geopandas.GeoDataFrame(
        {"Satellite": ["GOES-WEST"] * len(plumes), "Density": densities}, geometry=shapes, crs="EPSG:4326"
    )
    path = folder / f"{name}.{kind}"
    if kind == "kml":
        path.write_text(_kml(plumes))
    elif kind == "geojson" or (kind == "shp" and plumes):
        table.to_file(path, driver="GeoJSON" if kind == "geojson" else "ESRI Shapefile")
    else:
        _empty_shapefile(path.with_suffix(".shp")) if not plumes else table.to_file(path)
    return path


def _empty_shapefile(path):
    import pyogrio

    empty = geopandas.GeoDataFrame({"Density": np.array([], dtype=object)}, geometry=[], crs="EPSG:4326")
    pyogrio.write_dataframe(empty, path, geometry_type="Polygon")


def _kml(plumes):
    marks = ""
    for shape, density in plumes:
        ring = " ".join(f"{x},{y},0" for x, y in shapely.get_coordinates(shape))
        marks += (
            f"<Placemark><name>Smoke</name><description>Start Time: 2020256 1300&lt;br&gt;Density: {density}"
            f"</description><Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing>"
            "</outerBoundaryIs></Polygon></Placemark>"
        )
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    return f"{head}<name>Smoke</name><Folder><name>Smoke polygons</name>{marks}</Folder></Document></kml>"


def daymet_axes(grid, step=1000.0, margin=3):
    """Give x and y of the part of Daymet's own 1 km grid that covers a grid."""
    from rasterio.warp import transform_bounds

    left, bottom, right, top = transform_bounds(
        grid.crs, CRS.from_user_input(DAYMET_CRS).to_wkt(), *grid.bounds
    )
    x = np.arange(np.floor(left / step) - margin, np.ceil(right / step) + margin) * step + 250
    y = np.arange(np.ceil(top / step) + margin, np.floor(bottom / step) - margin, -1) * step
    return x, y

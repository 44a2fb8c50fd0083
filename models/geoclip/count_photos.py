"""Counts the places of GeoCLIP's gallery on cells: python models/geoclip/count_photos.py coordinates_100K.csv."""

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from pm25map.places.gallery import CELL_DEG, COUNTS


def count_photos(csv: Path, out: Path = COUNTS) -> None:
    """Count the places of a gallery, columns LAT and LON in degrees, and write them: uint16, north first."""
    lat, lon = np.loadtxt(csv, delimiter=",", skiprows=1, unpack=True)
    rows, cols = round(180 / CELL_DEG), round(360 / CELL_DEG)
    edges = np.linspace(-90, 90, rows + 1), np.linspace(-180, 180, cols + 1)
    counts = np.histogram2d(lat, lon, bins=edges)[0][::-1].astype(np.uint16)
    profile = {
        "driver": "GTiff",
        "dtype": "uint16",
        "count": 1,
        "height": rows,
        "width": cols,
        "crs": "EPSG:4326",
        "transform": from_origin(-180, 90, CELL_DEG, CELL_DEG),
        "compress": "deflate",
        "predictor": 2,
        "tiled": False,
    }
    with rasterio.open(out, "w", **profile) as target:
        target.update_tags(source="geoclip 1.3: model/gps_gallery/coordinates_100K.csv (MIT), counted")
        target.write(counts, 1)


if __name__ == "__main__":
    count_photos(Path(sys.argv[1]))

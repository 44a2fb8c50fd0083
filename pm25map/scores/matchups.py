"""Match-ups on disk: GeoParquet, a point a station and day."""

from pathlib import Path

import pandas as pd

from pm25map.base.errors import BadOutput
from pm25map.base.files import replacing


def write_matchups(frame: pd.DataFrame, path: Path) -> None:
    """Write match-ups as GeoParquet 1.1, points in OGC:CRS84.

    Args:
        frame: as `validate.COLUMNS`.
        path: the file to write; one that is there is replaced.

    Raises:
        BadOutput: the disk is full, or the place cannot be written.
    """
    import geopandas  # noqa: PLC0415 - slow to import

    points = geopandas.points_from_xy(frame["longitude"], frame["latitude"])
    placed = geopandas.GeoDataFrame(frame, geometry=points, crs="OGC:CRS84")
    if placed.empty:
        raise BadOutput(f"nothing to write to {path}: there is no match-up")
    with replacing(path) as part:
        placed.to_parquet(part, index=False, schema_version="1.1.0", compression="zstd")

"""The stations of a study: state, region, urban or rural; for tables by region and for maps."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pm25map.grid.regions import states
from pm25map.laboratory.study import results
from pm25map.laboratory.study.data import StudyData

URBAN_SHARE = 0.1
"""Share of built-up land in a station's cell from which it counts as urban."""

REGIONS = {
    "Northeast": "CT MA ME NH NJ NY PA RI VT",
    "Midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "South": "AL AR DC DE FL GA KY LA MD MS NC OK SC TN TX VA WV",
    "West": "AZ CA CO ID MT NM NV OR UT WA WY",
}
"""The Census Bureau's four regions."""


def state_of(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> list[str]:
    """Return the state of places by postal code; the nearest where a place lies off the land."""
    import geopandas  # noqa: PLC0415 - slow to import

    frame = states().to_crs(5070)
    points = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(lon, lat), crs=4326).to_crs(5070)
    joined = points.sjoin_nearest(frame[["postal", "geometry"]])
    # A place on a border is as near to two states: the first in the alphabet.
    postal: list[str] = joined.groupby(level=0)["postal"].min().sort_index().tolist()
    return postal


def write_stations(folder: Path, data: StudyData) -> None:
    """Write stations.parquet."""
    one = data.samples
    state = state_of(one.lat, one.lon)
    region = {postal: name for name, postals in REGIONS.items() for postal in postals.split()}
    table = pa.table(
        {
            "site_id": pa.array(one.site_ids, pa.string()),
            "latitude": one.lat,
            "longitude": one.lon,
            "state": state,
            "region": [region[postal] for postal in state],
            "urban": data.urban_share >= URBAN_SHARE,
            "held_out": data.held_out,
        }
    )
    results.write_table(folder / "stations.parquet", table)

"""The positions of sites: datums converted to WGS84, and a place of its own for every position of a site that moved."""

import numpy as np
import pandas as pd
from pyproj import Geod, Transformer

from pm25map.base.errors import BadMonitors

MOVED_M = 100.0
"""A site whose coordinates change by more is another place; smaller changes are better surveying."""

# EPSG 1173, NAD27 to WGS84 for CONUS as a whole (5 to 10 m), written out: PROJ's own choice would depend on
# which correction grids a machine has. Elsewhere (Alaska) it is good to some 50 m.
_NAD27 = (
    "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=push +v_3 "
    "+step +proj=cart +ellps=clrk66 +step +proj=helmert +x=-8 +y=160 +z=176 "
    "+step +inv +proj=cart +ellps=WGS84 +step +proj=pop +v_3 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
)

SAME_AS_WGS84 = ("WGS84", "NAD83", "UNKNOWN", "")
"""NAD83 lies within two metres of WGS84 (EPSG 1188); a datum that EPA does not know is taken for WGS84."""

UNKNOWN = ("UNKNOWN", "")


def to_wgs84(rows: pd.DataFrame) -> pd.DataFrame:
    """Bring latitude and longitude of rows with a datum to WGS84.

    Args:
        rows: with site_id, latitude, longitude (degrees) and datum.

    Raises:
        BadMonitors: a datum is none of NAD27, NAD83, WGS84 and UNKNOWN.
    """
    datum = rows["datum"].astype(str)
    strange = ~datum.isin([*SAME_AS_WGS84, "NAD27"])
    if strange.any():
        row = rows[strange].iloc[0]
        raise BadMonitors(
            f"site {row['site_id']} is in the datum {row['datum']!r}, and must be in NAD27, NAD83 or WGS84"
        )
    old = (datum == "NAD27").to_numpy()
    if not old.any():
        return rows
    lon, lat = Transformer.from_pipeline(_NAD27).transform(
        rows["longitude"].to_numpy()[old], rows["latitude"].to_numpy()[old]
    )
    rows = rows.copy()
    rows.loc[old, "longitude"] = lon
    rows.loc[old, "latitude"] = lat
    return rows


def separate_places(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assign an id to every place of a site.

    Places are numbered by the first day they were used: "060010001", "060010001@2". Positions within 100 m
    of the place's first are the same place; its position is that of most of its rows.

    Args:
        rows: with site_id, latitude, longitude (WGS84) and date.

    Returns:
        the rows with site_id by place, and the sites: site_id, latitude, longitude.
    """
    position = ["site_id", "latitude", "longitude"]
    spots = rows.groupby(position, observed=True)["date"].agg(["min", "size"]).reset_index()
    spots = spots.sort_values(["site_id", "min", "size", "latitude", "longitude"], ignore_index=True)
    spots["place"] = pd.Series(_places(spots), index=spots.index, dtype="str")
    best = spots.sort_values(["place", "size", "min"], ascending=[True, False, False], kind="stable")
    sites = best.drop_duplicates("place")[["place", "latitude", "longitude"]]
    named = rows.merge(spots[[*position, "place"]], on=position, how="left")
    rows = rows.assign(site_id=named["place"].to_numpy())
    return rows, sites.rename(columns={"place": "site_id"}).reset_index(drop=True)


def _places(spots: pd.DataFrame) -> list[str]:
    """Name the place of each spot; spots come by site, oldest first."""
    names: list[str] = []
    geod = Geod(ellps="WGS84")
    site, anchors = None, list[tuple[float, float]]()
    for site_id, lat, lon in spots[["site_id", "latitude", "longitude"]].itertuples(index=False):
        if site_id != site:
            site, anchors = site_id, []
        away = [geod.inv(lon, lat, other_lon, other_lat)[2] for other_lat, other_lon in anchors]
        number = int(np.argmin(away)) if away and min(away) <= MOVED_M else len(anchors)
        if number == len(anchors):
            anchors.append((lat, lon))
        names.append(site_id if number == 0 else f"{site_id}@{number + 1}")
    return names

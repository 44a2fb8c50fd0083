"""AirNow's files, written: hourly data, hourly observations, site lists of both versions, the daily file."""

import csv
import datetime as dt
import io
from dataclasses import dataclass

OBSERVATION_HEADER = [
    *(
        "AQSID",
        "SiteName",
        "Status",
        "EPARegion",
        "Latitude",
        "Longitude",
        "Elevation",
        "GMTOffset",
        "CountryCode",
    ),
    *(
        "StateName",
        "ValidDate",
        "ValidTime",
        "DataSource",
        "ReportingArea_PipeDelimited",
        "PM25_AQI",
        "PM25_Measured",
    ),
    *("PM25", "PM25_Unit"),
]
V2_HEADER = (
    "StationID|AQSID|FullAQSID|Parameter|MonitorType|SiteCode|SiteName|Status|AgencyID|AgencyName|EPARegion|Latitude|"
    "Longitude|Elevation|GMTOffset|CountryFIPS|CBSA_ID|CBSA_Name|StateAQSCode|StateAbbreviation|CountyAQSCode|"
    "CountyName"
)


@dataclass(frozen=True)
class Site:
    """A monitor; name is written in Latin-1, as AirNow's are at times."""

    aqsid: str
    latitude: float
    longitude: float
    offset: float | str
    country: str = "US"
    name: str = "Peñasco"


DENVER = Site("080310002", 39.75, -104.99, -7)
NEW_YORK = Site("360610135", 40.82, -73.95, -5)
OAKLAND = Site("060010011", 37.81, -122.28, -8)
TORONTO = Site("000060435", 43.71, -79.54, -5, "CA")
KATHMANDU = Site("KM1010001", 27.7, 85.3, 5.75, "NP")


def beginning(text):
    """The UTC hour of YYYYMMDDHH."""
    return dt.datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=dt.UTC)


def hours_from(first, count):
    return [beginning(first) + dt.timedelta(hours=i) for i in range(count)]


def hourly_row(hour, site, value, parameter="PM2.5", unit="UG/M3"):
    offset = site.offset
    stamp = hour
    if not isinstance(offset, str) and offset % 1:
        stamp = hour + dt.timedelta(minutes=(-offset % 1) * 60)
    return f"{stamp:%m/%d/%y|%H:%M}|{site.aqsid}|{site.name}|{offset}|{parameter}|{unit}|{value}|An Agency"


def hourly_bytes(hour, values):
    """One HourlyData file: values is {site: ug m-3 (or text, or a list of them)}; ozone stands between."""
    rows = []
    for site, value in values.items():
        rows.append(hourly_row(hour, site, 33, "OZONE", "PPB"))
        rows += [hourly_row(hour, site, one) for one in (value if isinstance(value, list) else [value])]
    return ("\n".join(rows) + "\n").encode("latin-1")


def write_hour(folder, hour, values):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"HourlyData_{hour:%Y%m%d%H}.dat"
    path.write_bytes(hourly_bytes(hour, values))
    return path


def write_hours(folder, first, values):
    """Write an hour for every value: values is {site: [value of each hour]}; None leaves the row out."""
    count = len(next(iter(values.values())))
    for i, hour in enumerate(hours_from(first, count)):
        there = {site: of_site[i] for site, of_site in values.items() if of_site[i] is not None}
        write_hour(folder, hour, there)


def write_observations(folder, hour, values):
    """One HourlyAQObs file: its sites with their positions, every field quoted."""
    folder.mkdir(parents=True, exist_ok=True)
    held = io.StringIO()
    writer = csv.writer(held, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(OBSERVATION_HEADER)
    for site, value in values.items():
        place = [site.latitude, site.longitude, "0", site.offset, site.country, "XX"]
        measured = [f"{hour:%m/%d/%Y}", f"{hour:%H:%M}", "An Agency", "A, B|C", "", "1", value, "UG/M3"]
        writer.writerow([site.aqsid, site.name, "Active", "R9", *place, *measured])
    path = folder / f"HourlyAQObs_{hour:%Y%m%d%H}.dat"
    path.write_bytes(held.getvalue().encode("latin-1"))
    return path


def v2_bytes(sites):
    rows = [V2_HEADER]
    for site in sites:
        for parameter in ("OZONE", "PM2.5"):
            short = site.aqsid[-9:]
            rows.append(
                f"{short}|{site.aqsid}|840{short}|{parameter}|Permanent|{short[-4:]}|{site.name}|Active|XX1|"
                f"An Agency|R9|{site.latitude}|{site.longitude}||{site.offset}|{site.country}|||{short[:2]}|"
                f"XX|{short[2:5]}|A County"
            )
    return ("\n".join(rows) + "\n").encode("latin-1")


def v1_bytes(sites):
    rows = [
        f"{site.aqsid}|PM2.5|{site.aqsid[-4:]}|{site.name}|Active|XX1|An Agency|R9|"
        f"{site.latitude}|{site.longitude}|0.0|{site.offset}|{site.country}|||||{site.aqsid[:2]}|XX|||||"
        for site in sites
    ]
    return ("\n".join(rows) + "\n").encode("latin-1")


def write_sites(folder, sites, day=None, version=2):
    folder.mkdir(parents=True, exist_ok=True)
    stem = "Monitoring_Site_Locations_V2" if version == 2 else "monitoring_site_locations"
    path = folder / f"{stem}{'' if day is None else f'_{day:%Y%m%d}'}.dat"
    path.write_bytes(v2_bytes(sites) if version == 2 else v1_bytes(sites))
    return path


def write_daily(folder, rows, version=2):
    """One daily file: rows are (day, site, value)."""
    tail = "|40|1|39.0|-105.0|840000000000" if version == 2 else ""
    lines = [
        f"{day:%m/%d/%y}|{site.aqsid}|{site.name}|PM2.5-24hr|UG/M3|{value}|24|An Agency{tail}"
        for day, site, value in rows
    ]
    path = folder / ("daily_data_v2.dat" if version == 2 else "daily_data.dat")
    path.write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    return path

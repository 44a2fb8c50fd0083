"""Rows as EPA writes them: what differs from one good row is given, the rest is filled in."""

import csv
import io

HEADER = [
    *("State Code", "County Code", "Site Num", "Parameter Code", "POC", "Latitude", "Longitude", "Datum"),
    *(
        "Parameter Name",
        "Sample Duration",
        "Pollutant Standard",
        "Date Local",
        "Units of Measure",
        "Event Type",
    ),
    *("Observation Count", "Observation Percent", "Arithmetic Mean", "1st Max Value", "1st Max Hour", "AQI"),
    *("Method Code", "Method Name", "Local Site Name", "Address", "State Name", "County Name", "City Name"),
    *("CBSA Name", "Date of Last Change"),
]
ROW = dict.fromkeys(HEADER, "") | {
    "State Code": "41",
    "County Code": "051",
    "Site Num": "0080",
    "Parameter Code": "88101",
    "POC": "1",
    "Latitude": "45.496641",
    "Longitude": "-122.602877",
    "Datum": "WGS84",
    "Parameter Name": "PM2.5 - Local Conditions",
    "Sample Duration": "24 HOUR",
    "Pollutant Standard": "PM25 24-hour 2012",
    "Date Local": "2020-09-12",
    "Units of Measure": "Micrograms/cubic meter (LC)",
    "Event Type": "None",
    "Observation Count": "1",
    "Observation Percent": "100.0",
    "Arithmetic Mean": "10.0",
    "Local Site Name": 'Portland, "SE" Lafayette',
    "Date of Last Change": "2021-05-01",
}
BLOCK_AVERAGE = {"Sample Duration": "24-HR BLK AVG"}
HOURS = {"Sample Duration": "1 HOUR", "Pollutant Standard": ""}


def text_of(*rows: dict[str, object], header: list[str] | None = None) -> str:
    """Write rows as EPA does: every text in quotes, commas inside names."""
    target = io.StringIO()
    writer = csv.DictWriter(target, header or HEADER, quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writeheader()
    writer.writerows([{**ROW, **{k: str(v) for k, v in row.items()}} for row in rows])
    return target.getvalue()

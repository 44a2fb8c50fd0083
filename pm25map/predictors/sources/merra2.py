"""MERRA-2 aerosols at 0.5 x 0.625 degrees, 24 hourly means a day in UTC (tavg1_2d_aer_Nx, GMAO).

PM2.5 is the sum of its parts with sulfate taken as ammonium sulfate, as GMAO's answers to questions state it:
dust, sea salt, black carbon, organic carbon and 132.14 / 96.06 of sulfate.
"""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.predictors.sources.latlon import NetcdfEntry, NetcdfSource

FILE = r"MERRA2_(?P<stream>\d0\d)\.tavg1_2d_aer_Nx\.(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\.nc4?"
"""Streams 100 to 400; what was processed again, such as September 2020, is 401,
and counts before what it replaces."""

PARTS = ("DUSMASS25", "SSSMASS25", "BCSMASS", "OCSMASS", "SO4SMASS")
AMMONIUM_SULFATE = 132.14 / 96.06


def merra2(folder: Path) -> NetcdfSource:
    """Open a folder of files such as MERRA2_400.tavg1_2d_aer_Nx.20180101.nc4."""
    mass = NetcdfEntry(
        "merra2_pm25",
        FILE,
        tuple((name,) for name in PARTS),
        combine=_sum_of_parts,
        entries_a_day=24,
        version=_version,
    )
    depth = NetcdfEntry("merra2_aod", FILE, (("TOTEXTTAU",),), entries_a_day=24, version=_version)
    return NetcdfSource("merra2", folder, (mass, depth))


def _version(match: re.Match[str]) -> tuple[int]:
    return (int(match["stream"]),)


def _sum_of_parts(parts: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    *others, sulfate = parts
    return np.asarray(sum(others) + sulfate * np.float32(AMMONIUM_SULFATE), dtype=np.float32)

"""What monitors measured: one tidy table, one row a site and day, examined as it is read. Independent of any grid."""

from pm25map.monitors.doubts import Doubt, Examination
from pm25map.monitors.examine import examine
from pm25map.monitors.join import join
from pm25map.monitors.read import read_monitors
from pm25map.monitors.rules import Rules
from pm25map.monitors.table import DaySummary, Monitors, Reading

__all__ = [
    "DaySummary",
    "Doubt",
    "Examination",
    "Monitors",
    "Reading",
    "Rules",
    "examine",
    "join",
    "read_monitors",
]

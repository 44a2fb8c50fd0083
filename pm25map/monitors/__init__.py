"""What EPA's monitors measured: one tidy table, one row a site and day. Knows of no grid."""

from pm25map.monitors.join import join
from pm25map.monitors.read import read_monitors
from pm25map.monitors.table import Monitors, Reading

__all__ = ["Monitors", "Reading", "join", "read_monitors"]

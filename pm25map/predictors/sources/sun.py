"""Predictors of the sun's position by day and place: day length and clear-sky radiation, through pvlib."""

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt
import pandas as pd
from pvlib import atmosphere, clearsky, irradiance, solarposition

NAMES = ("day_length", "clear_sky_radiation")

NODE_STEP_DEGREES = 1.0
NODE_ALTITUDES_M = np.append(np.arange(-500.0, 4500.0, 200.0), [4500.0, 6000.0, 9000.0])
NODE_TURBIDITIES = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 10.0])
"""Nodes of the table that clear-sky radiation is interpolated from. It stays within 1 % of pvlib by the
minute; most of that is refraction, which the table leaves out."""

NOON_UTC_HOUR = 18
"""Noon in the middle of CONUS."""

_HALF_DAY_NODES = 16
"""Gauss-Legendre nodes from noon to sunset: the integral is exact to 0.1 %."""


def day_length(day: dt.date, lat: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the hours for which the centre of the sun is above the horizon, without refraction.

    Args:
        day: of which the sun's declination is taken.
        lat: degrees, any shape.
    """
    return (_sunset_hour_angle(day, np.asarray(lat)) * 24 / np.pi).astype(np.float32)


def clear_sky_radiation(
    day: dt.date,
    lat: npt.NDArray[np.float64],
    altitude_m: npt.NDArray[np.float32],
    turbidity: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return the mean over 24 hours of the global horizontal radiation under a clear sky, W m-2.

    The model is Ineichen and Perez as in pvlib. It is worked out at the nodes of a table once a day, and
    linear between them.

    Args:
        day: local solar day.
        lat: degrees, any shape.
        altitude_m: metres, the same shape; NaN stays NaN.
        turbidity: Linke turbidity for an air mass of 2, the same shape; NaN stays NaN.
    """
    lat, altitude, linke = (np.asarray(v, dtype=np.float64).ravel() for v in (lat, altitude_m, turbidity))
    known = np.isfinite(lat) & np.isfinite(altitude) & np.isfinite(linke)
    lat, altitude, linke = lat[known], altitude[known], linke[known]
    if not known.any():
        return np.full(np.shape(turbidity), np.nan, dtype=np.float32)
    # Whole tens of degrees, so that neighbouring blocks find the same table.
    south, north = np.floor(lat.min() / 10) * 10, np.ceil(lat.max() / 10) * 10
    latitudes = np.arange(south, max(north, south + 10) + 0.5, NODE_STEP_DEGREES)
    table = _table(day, tuple(latitudes.tolist()))
    i, u = _between(latitudes, lat)
    j, v = _between(NODE_ALTITUDES_M, altitude)
    k, w = _between(NODE_TURBIDITIES, linke)
    values = np.full(known.shape, np.nan, dtype=np.float32)
    total = np.zeros(len(lat))
    for di, dj, dk in np.ndindex(2, 2, 2):
        weight = (u if di else 1 - u) * (v if dj else 1 - v) * (w if dk else 1 - w)
        total += weight * table[i + di, j + dj, k + dk]
    values[known] = total
    return values.reshape(np.shape(turbidity))


@functools.lru_cache(maxsize=512)
def _table(day: dt.date, latitudes: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Compute the daily mean at every node: W m-2 (latitude, altitude, turbidity)."""
    lat = np.array(latitudes)[:, None, None, None]
    altitude = NODE_ALTITUDES_M[None, :, None, None]
    turbidity = NODE_TURBIDITIES[None, None, :, None]
    sunset = _sunset_hour_angle(day, lat)
    nodes, weights = np.polynomial.legendre.leggauss(_HALF_DAY_NODES)
    hour_angle = sunset * (nodes + 1) / 2
    zenith = np.degrees(solarposition.solar_zenith_analytical(np.radians(lat), hour_angle, _declination(day)))
    air_mass = atmosphere.get_absolute_airmass(
        atmosphere.get_relative_airmass(zenith), atmosphere.alt2pres(altitude)
    )
    outside = irradiance.get_extra_radiation(day.timetuple().tm_yday)
    with np.errstate(
        divide="ignore"
    ):  # pvlib divides by the cosine of a sun on the horizon, for the direct beam
        sky = clearsky.ineichen(zenith, air_mass, turbidity, altitude, dni_extra=outside)
    ghi = np.nan_to_num(np.asarray(sky["ghi"]))
    # The day is symmetric around noon: its mean is the mean of one half, and the night adds nothing.
    mean: npt.NDArray[np.float64] = (ghi * weights).sum(axis=-1) / 2 * sunset[..., 0] / np.pi
    return mean


@functools.lru_cache(maxsize=4096)
def _declination(day: dt.date) -> float:
    """Return the sun's declination in radians: at the pole it is the height of the sun.

    The closed formulas by day of year are up to 0.4 degrees off in leap years, 0.7 % of a day's radiation.
    """
    noon = pd.DatetimeIndex([dt.datetime(day.year, day.month, day.day, NOON_UTC_HOUR)], tz="UTC")
    return float(np.radians(solarposition.get_solarposition(noon, 90.0, 0.0)["elevation"].iloc[0]))


def _sunset_hour_angle(day: dt.date, lat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the hour angle of sunset in radians: 0 where the sun stays down, pi where it stays up."""
    cosine = -np.tan(np.radians(lat)) * np.tan(_declination(day))
    angle: npt.NDArray[np.float64] = np.arccos(np.clip(cosine, -1, 1))
    return angle


def _between(
    nodes: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Find the node below every value and how far the value is to the next, 0 to 1; clamped at the ends."""
    below = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    share = (values - nodes[below]) / (nodes[below + 1] - nodes[below])
    return below, np.clip(share, 0, 1)

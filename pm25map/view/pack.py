"""Layers made small for a page: whole steps in 16 bits, differences, deflate."""

import base64
import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer

from pm25map.base.aqi import TRUNCATION_SLACK
from pm25map.base.errors import BadMap
from pm25map.view.layers import Layer, LookedAt

MISSING = 65_535
"""Code of a cell without a value."""

CONCENTRATION_STEP = 0.1
"""ug m-3: the index is of concentrations cut to 0.1, and so is what a page holds."""

_STEPS = 4_000
"""At least so many steps between the least and the greatest value of another layer."""

_MERCATOR = "EPSG:3857"
_TURN_M = 2 * math.pi * 6_378_137.0
"""Metres around the Mercator world, whose square the page numbers from 0 to 1."""

_NEAR_CELL = 0.02
"""Cells: how far the page may be off when it finds the cell under the pointer."""

_LARGEST_NET = 385


@dataclass(frozen=True)
class Packed:
    """A layer in codes: value = offset + step * code.

    Attributes:
        step, offset: in the layer's unit.
        data: base64 of the deflated codes.
    """

    step: float
    offset: float
    data: str


def pack(layer: Layer) -> Packed:
    """Pack the values of a layer. Concentrations are cut to 0.1 ug m-3, other numbers rounded to a step."""
    values = layer.values.astype(np.float64)
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    step = _step(layer, low, high)
    offset = math.floor(low / step) * step if low < 0 else 0.0
    scaled = np.where(known, (values - offset) / step, 0.0)
    cut = np.floor(scaled + TRUNCATION_SLACK) if layer.kind == "concentration" else np.rint(scaled)
    codes = np.where(known, np.clip(cut, 0, MISSING - 1), MISSING).astype(np.uint16)
    return Packed(step, offset, base64.b64encode(deflate(codes)).decode("ascii"))


def _step(layer: Layer, low: float, high: float) -> float:
    if layer.kind == "flags":
        if high > MISSING - 1:
            raise BadMap(f"layer {layer.label!r} has flags beyond 16 bits, which a page cannot hold")
        return 1.0
    if layer.kind == "concentration":
        step = CONCENTRATION_STEP
    elif np.array_equal(layer.values, np.rint(layer.values), equal_nan=True):
        # Counts stay whole numbers.
        step = 1.0
    else:
        exponent = math.floor(math.log10(max(high - low, 1e-12) / _STEPS))
        step = 10.0**exponent
    while (high - min(low, 0.0)) / step > MISSING - 2:
        step *= 10
    return step


def deflate(codes: npt.NDArray[np.uint16]) -> bytes:
    """Deflate codes: differences along the rows as one line, low bytes first, then high bytes."""
    flat = codes.ravel()
    differences = np.diff(flat, prepend=np.uint16(0)).astype("<u2")
    planes = differences.view(np.uint8).reshape(-1, 2).T
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(planes.tobytes()) + squeezer.flush()


def inflate(packed: Packed, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return the values of a packed layer, as the page does."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed.data), -15), np.uint8)
    differences = np.ascontiguousarray(planes.reshape(2, -1).T).view("<u2").ravel()
    codes = np.cumsum(differences, dtype=np.uint16).reshape(shape)
    values = packed.offset + packed.step * codes.astype(np.float64)
    return np.where(codes == MISSING, np.nan, values).astype(np.float32)


@dataclass(frozen=True)
class Net:
    """Knots over a map on the Mercator square, each with its place on the map's own grid.

    Between knots the page interpolates, to draw each cell with its own edges and to find the cell under the
    pointer: no value is resampled.

    Attributes:
        box: west, north, east, south on the Mercator square, 0 to 1, y growing south.
        knots: rows and columns of knots.
        places: base64 of float32 (knot, 2): column and row on the grid, at cell corners.
    """

    box: tuple[float, float, float, float]
    knots: tuple[int, int]
    places: str


def net_of(shown: LookedAt) -> Net:
    """Lay a net over a map, fine enough that no place is off by more than a small part of a cell."""
    box = mercator_box(shown)
    knots = 33
    while True:
        places = _places(shown, box, knots)
        halved = _places(shown, box, 2 * knots - 1)
        off = np.abs(_refined(places) - halved)
        inside = ((halved >= -1) & (halved <= np.array([shown.shape[1], shown.shape[0]]) + 1)).all(axis=2)
        worst = float(off[inside].max(initial=0.0))
        if worst <= _NEAR_CELL or 2 * knots - 1 > _LARGEST_NET:
            break
        knots = 2 * knots - 1
    text = base64.b64encode(places.astype("<f4").tobytes()).decode("ascii")
    return Net(box, (knots, knots), text)


def mercator_box(shown: LookedAt) -> tuple[float, float, float, float]:
    """Return what of the Mercator square a map reaches: west, north, east, south, 0 to 1, y growing south.

    Raises:
        BadMap: it lies nowhere on the earth.
    """
    a, _, c, _, e, f = shown.transform
    rows, cols = shown.shape
    # The poles lie nowhere on the Mercator square: what is beyond 85 degrees is not drawn.
    x, y = np.meshgrid(np.linspace(c, c + a * cols, 65), np.linspace(f, f + e * rows, 65))
    to_lonlat = Transformer.from_crs(CRS.from_user_input(shown.crs), "OGC:CRS84", always_xy=True)
    lon, lat = to_lonlat.transform(x, y)
    good = np.isfinite(lon) & np.isfinite(lat)
    if not good.any():
        raise BadMap(f"{shown.path} lies nowhere on the earth in its own CRS: check its transform")
    lon, lat = lon[good], np.clip(lat[good], -85, 85)
    mx = (lon + 180) / 360
    my = 0.5 - np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)) / (2 * np.pi)
    pad = 0.002 * (mx.max() - mx.min())
    return float(mx.min() - pad), float(my.min() - pad), float(mx.max() + pad), float(my.max() + pad)


def _places(shown: LookedAt, box: tuple[float, float, float, float], knots: int) -> npt.NDArray[np.float64]:
    """Place the knots on the grid: (row of knots, column of knots, 2), column and row in cells."""
    west, north, east, south = box
    mx, my = np.meshgrid(np.linspace(west, east, knots), np.linspace(north, south, knots))
    to_map = Transformer.from_crs(_MERCATOR, CRS.from_user_input(shown.crs), always_xy=True)
    x, y = to_map.transform((mx - 0.5) * _TURN_M, (0.5 - my) * _TURN_M)
    a, _, c, _, e, f = shown.transform
    places = np.stack([(np.asarray(x) - c) / a, (np.asarray(y) - f) / e], axis=-1)
    return np.where(np.isfinite(places), places, -1e6)


def _refined(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Put a knot into the middle of each two."""
    for axis in (0, 1):
        n = places.shape[axis]
        middle = (places.take(range(n - 1), axis) + places.take(range(1, n), axis)) / 2
        shape = list(places.shape)
        shape[axis] = 2 * n - 1
        fine = np.empty(shape)
        index = [slice(None)] * 3
        index[axis] = slice(0, None, 2)
        fine[tuple(index)] = places
        index[axis] = slice(1, None, 2)
        fine[tuple(index)] = middle
        places = fine
    return places

"""How fast place vectors change over the ground, and which part of GeoCLIP does it: its three capsules apart.

A capsule is one set of random waves with its own spread of frequencies (sigma 1, 16 and 256); the vector of a
place is the sum of the three.
"""

import numpy as np
import numpy.typing as npt
from pyproj import Geod

from pm25map.base.errors import BadModel
from pm25map.grid import Grid
from pm25map.places.geoclip import read_geoclip
from pm25map.places.location_encoder import LocationEncoder, Vectors
from pm25map.places.network import BATCH, EncoderNetwork

SIGMAS = (1, 16, 256)
"""Of GeoCLIP's capsules, in the order of its file; wavelengths 6,000 km and more, 300 to 3,200, 17 to 200."""

SAMPLED_CELLS = BATCH
"""Cells at which the change is measured, one call of the network; the others take it from those around them."""

_APART_KM = 1.0


class Capsules:
    """GeoCLIP's location encoder, its capsules not yet added up."""

    def __init__(self) -> None:
        """Open the shipped network.

        Raises:
            BadModel: it is damaged, or is no sum of three capsules.
        """
        import onnx  # noqa: PLC0415 - only where GeoCLIP's capsules are asked for

        card, content = read_geoclip()
        model = onnx.load_from_string(content)
        last = model.graph.node[-1]
        if last.op_type != "Sum" or len(last.input) != len(SIGMAS):
            raise BadModel(f"the shipped GeoCLIP is no sum of {len(SIGMAS)} capsules. Install pm25map again")
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in last.input)
        names, extended = list(last.input), model.SerializeToString()
        self._network = EncoderNetwork(extended, int(card["dimension"]), np.float32, outputs=names)

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return float32 (capsule, place, 512); their sum is what GeoCLIP gives. Else as LocationEncoder.encode."""
        return self._network.run(lat, lon)


def change_per_km(
    encoder: LocationEncoder | Capsules, lat: npt.NDArray[np.floating], lon: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Measure how far the vector moves over one km, north and east together.

    Returns:
        float32 (part, place), per km: a row for each of GeoCLIP's capsules, or one for any other encoder.
        Lengths are Euclidean; a vector of GeoCLIP is about 4 long.
    """
    geod = Geod(ellps="WGS84")
    here = encoder.encode(lat, lon)
    squared = []
    for bearing in (0.0, 90.0):
        there = geod.fwd(lon, lat, np.full(len(lat), bearing), np.full(len(lat), 1000 * _APART_KM))
        apart = encoder.encode(np.clip(there[1], -90, 90), there[0]) - here
        squared.append(np.square(apart).sum(axis=-1) / _APART_KM**2)
    return np.atleast_2d(np.sqrt(squared[0] + squared[1])).astype(np.float32)


def change_map(encoder: LocationEncoder, grid: Grid) -> npt.NDArray[np.float32]:
    """Map the change of the vectors over a grid, from SAMPLED_CELLS of its cells: float32 (part, y, x), per km."""
    from scipy.interpolate import NearestNDInterpolator  # noqa: PLC0415 - slow to import

    lon, lat = grid.lonlat()
    chosen = np.unique(np.linspace(0, len(lon) - 1, SAMPLED_CELLS).astype(int))
    measured = change_per_km(Capsules() if encoder.name == "geoclip" else encoder, lat[chosen], lon[chosen])
    points = np.argwhere(grid.land)
    out = np.full((len(measured), *grid.shape), np.nan, dtype=np.float32)
    out[:, grid.land] = NearestNDInterpolator(points[chosen], measured.T)(points).T
    return out

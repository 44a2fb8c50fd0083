"""How fast location encoders embed conus-1km: python tests/bench/places.py places-open geoclip.

CPU seconds of one thread for 16 batches of places over CONUS, times the land cells of conus-1km.
"""

import sys
import time

import numpy as np

from pm25map.places.catalogue import encoder
from pm25map.places.network import BATCH

CELLS = 8_100_000
"""Land cells of conus-1km."""

ROUNDS = 16


def main() -> None:
    """Print a line for each encoder."""
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(25, 49, ROUNDS * BATCH), rng.uniform(-125, -67, ROUNDS * BATCH)
    for name in sys.argv[1:]:
        made = encoder(name, threads=1)
        made.encode(lat[:BATCH], lon[:BATCH])
        began = time.process_time()
        made.encode(lat, lon)
        spent = time.process_time() - began
        rate = lat.size / spent
        print(f"{name}: {rate:,.0f} places a CPU second, conus-1km in {CELLS / rate / 60:.0f} CPU minutes")  # noqa: T201


if __name__ == "__main__":
    main()

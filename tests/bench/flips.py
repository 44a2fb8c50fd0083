"""Flip bits in every file of a store, a place store, a model, an encoder and a map; count what comes of it.

Each file is damaged by itself: some bits flipped, cut to half, emptied, removed. What reads it must give the same
values or one line. Prints a line for each kind, with what was wrong; exit code 1 if anything was.

    python tests/bench/flips.py --flips 40 --seed 1
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from damage import damages, wrong
from predictor_world import DAYS, small_grid
from test_damage import (
    fill_map,
    fill_store,
    read_encoder,
    read_looked_at,
    read_model,
    read_places,
    read_store,
)

from pm25map.base.shipped import shipped_folder
from pm25map.places.catalogue import encoder
from pm25map.places.store import embed_grid
from pm25map.predictors.pack import pack_sample
from pm25map.predictors.store import open_predictors


def main() -> None:
    """Damage everything, and say what came of it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--flips", type=int, default=40, help="Bits of each file.")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    rng = np.random.default_rng(asked.seed)
    every = bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PM25MAP_CACHE"] = str(Path(scratch) / "cache")
        for kind, place, read, times in kinds(Path(scratch)):
            right = read()
            found = [wrong(read, right, one) for one in damages(place, rng, asked.flips * times)]
            told = [text for text in found if text]
            every, bad = every + len(found), bad + len(told)
            lines = [f"{kind:<14}{len(found):>7} damages{len(told):>5} wrong", *told]
            sys.stdout.write("\n  ".join(lines) + "\n")
            sys.stdout.flush()
    share = 100 * (every - bad) / every
    sys.stdout.write(f"{every - bad} of {every} ({share:.2f} %) gave the same values or one line\n")
    sys.exit(1 if bad else 0)


def kinds(scratch: Path):
    """Make one of each kind; give its name, its place, what reads it, and by what to multiply the flips of a file."""
    store = fill_store(scratch / "p.zarr")
    yield "store", store, lambda: read_store(store), 1
    packed = pack_sample(open_predictors(store), scratch / "s.zarr.zip", DAYS[0], DAYS[-1])
    yield "packed store", packed, lambda: read_store(packed), 15
    places = embed_grid(small_grid(), encoder("sincos"), scratch / "places.zarr")
    yield "place store", places, lambda: read_places(places), 3
    model = Path(shutil.copytree(shipped_folder("models") / "conus-open", scratch / "model"))
    yield "model", model, lambda: read_model(model), 1
    mine = Path(shutil.copytree(shipped_folder("models") / "places-open", scratch / "places-mine"))
    for name in ("card.json", "encoder.onnx"):
        yield f"encoder {name[:4]}", mine / name, lambda: read_encoder(mine), 1
    folder = scratch / "maps"
    folder.mkdir()
    shown = fill_map(folder)
    yield "map and item", folder, lambda: read_looked_at(shown), 3


if __name__ == "__main__":
    main()

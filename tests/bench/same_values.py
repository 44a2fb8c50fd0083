"""Compare the maps of two checkouts band by band: python tests/bench/same_values.py OTHER [--all-land] [--record FILE]

Draws maps of the shipped sample with this checkout and with another one (or compares with what --record wrote there):
single maps plain, with intervals, of a box, with averaged places and with diagnostics, and backfills with and without
intervals. Every band's SHA-256 over its values must be the same, in whatever file of its map it stands: earlier builds
put all bands into one. --all-land draws backfills of the whole grid.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio

ROOT = Path(__file__).resolve().parents[2]
DAY = "2020-09-12"
BOX = ["--bbox", "-124", "43", "-120", "46"]
OPEN = ["--model", "conus-open"]
PERIOD = ["--start", "2020-09-05", "--end", "2020-09-20", "--calibrate", "0"]


def cases(all_land):
    """The command lines, by name; each writes into the folder that it is run in."""
    one = ["predict", "--date", DAY, "--out", "map.tif"]
    part = [] if all_land else ["--region", "oregon"]
    return {
        "map": one,
        "map with intervals": [*one, "--intervals"],
        "map of a box": [*one, *BOX],
        "map by conus-open": [*one, *OPEN],
        "map with averaged places": [*one, *OPEN, *BOX, "--place-smoothing", "40"],
        "map with diagnostics": [*one, "--diagnostics"],
        "diagnosis by conus-open": ["diagnose", "--date", DAY, "--out", "doubts", *OPEN, *BOX],
        "backfill": ["backfill", *PERIOD, "--out", "maps", *part],
        "backfill with intervals": ["backfill", *PERIOD, "--out", "maps", *part, "--intervals"],
        "backfill by conus-open in small blocks": [
            "backfill", *PERIOD, "--out", "maps", *BOX, *OPEN, "--block-size", "7", "--run-days", "5",
        ],
    }  # fmt: skip


def draw(checkout, words, folder):
    """Run a command of a checkout in an empty folder; give the SHA-256 of every band of every day's map it wrote."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "SOURCE_DATE_EPOCH": "1700000000"}
    line = [sys.executable, "-m", "pm25map", *words]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} of {checkout} failed:\n{done.stderr}")
    sums = {}
    for path in sorted(Path(folder).rglob("*.tif")):
        with rasterio.open(path) as source:
            layers = {source.tags(number)["NAME"]: source.read(number) for number in source.indexes}
            tags = source.tags()
        for pair in tags.get("PM25MAP_CONSTANT_BANDS", "").split() if "pm25" in layers else ():
            name, value = pair.split("=")
            layers[name] = np.where(np.isfinite(layers["pm25"]), np.float32(value), np.float32(np.nan))
        for name, values in layers.items():
            found = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
            if sums.setdefault(f"{tags['PM25MAP_DAY']} {name}", found) != found:
                raise SystemExit(f"{path}: band {name} has other values than in another file of its day")
    return sums


def draw_all(checkout, all_land):
    """Every case of a checkout: {case: {map and band: SHA-256}}."""
    found = {}
    for name, words in cases(all_land).items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = draw(checkout, words, folder)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout, or a JSON file that --record wrote")
    parser.add_argument("--all-land", action="store_true", help="backfills of the whole grid, not of Oregon")
    parser.add_argument("--record", type=Path, help="only write down what OTHER draws")
    asked = parser.parse_args()
    other = (
        json.loads(asked.other.read_text())
        if asked.other.is_file()
        else draw_all(asked.other.resolve(), asked.all_land)
    )
    if asked.record:
        asked.record.write_text(json.dumps(other, indent=1) + "\n")
        return 0
    ours = draw_all(ROOT, asked.all_land)
    wrong = 0
    for case, theirs in other.items():
        differ = [name for name in theirs if ours[case].get(name) != theirs[name]]
        differ += [name for name in ours[case] if name not in theirs]
        wrong += len(differ)
        sys.stdout.write(f"{case}: {len(theirs) - len(differ)} of {len(theirs)} bands are the same\n")
        for name in differ:
            sys.stdout.write(f"  differs: {name}\n")
    return 3 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where a map's processor seconds go, in two checkouts, in turns: python tests/bench/stages.py OTHER [--pairs 5]

Each map runs in a process of its own, one block at a time, so that what a process spends belongs to one stage. Seconds
are of the user and the system, of all threads; a stage that calls another is not charged for it.
"""

import argparse
import builtins
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = (
    "imports", "opening", "place vectors", "predictors", "network", "writing", "headline", "rest",
)  # fmt: skip
WATCHED = {
    "pm25map.cli.options": {"open_for_maps": "opening", "open_day": "opening"},
    "pm25map.cli.opening": {"open_for_maps": "opening"},
    "pm25map.places.store": {"PlaceStore.read": "place vectors", "PlaceStore.verify": "place vectors"},
    "pm25map.predictors.reader": {"Predictors.read": "predictors"},
    "pm25map.windows.scaler": {"Scaler.apply": "predictors"},
    "pm25map.base.onnx": {"open_network": "opening"},
    "pm25map.model.engines.onnx": {"OnnxSession._infer": "network", "EnsembleSession._infer": "network"},
    "pm25map.raster.cog": {"write_cog": "writing"},
    "pm25map.raster.map_files": {"write_map": "writing"},
    "pm25map.raster.stac": {"write_stac_item": "writing"},
    "pm25map.view.headline": {"headline": "headline"},
}
"""What each stage is, by module and name; a checkout may lack some of these."""


class Clock:
    """Charges the processor seconds of this process to the stage that was entered last."""

    def __init__(self):
        self.spent = dict.fromkeys(STAGES, 0.0)
        self._open, self._last, self._lock = ["imports"], 0.0, threading.Lock()

    def turn(self, stage=None):
        """Enter a stage, or leave the last where None."""
        with self._lock:
            now = time.process_time()
            self.spent[self._open[-1]] += now - self._last
            self._last = now
            self._open.pop() if stage is None else self._open.append(stage)

    def around(self, function, stage):
        """Return a function that is charged to a stage."""

        @functools.wraps(function)
        def charged(*args, **kwargs):
            self.turn(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.turn()

        return charged


def watch(clock):
    """Charge imports, and what WATCHED names as soon as it is imported."""
    plain, depth, done = builtins.__import__, threading.local(), set()

    def charged(name, *args, **kwargs):
        if name in sys.modules and (name not in WATCHED or name in done):
            return plain(name, *args, **kwargs)
        outermost = (
            not getattr(depth, "inside", False) and threading.current_thread() is threading.main_thread()
        )
        if outermost:
            depth.inside = True
            clock.turn("imports")
        try:
            found = plain(name, *args, **kwargs)
        finally:
            if outermost:
                depth.inside = False
                clock.turn()
        if name in WATCHED and name not in done:
            done.add(name)
            for path, stage in WATCHED[name].items():
                owner, _, attribute = path.rpartition(".")
                holder = getattr(sys.modules[name], owner, None) if owner else sys.modules[name]
                if hasattr(holder, attribute):
                    setattr(holder, attribute, clock.around(getattr(holder, attribute), stage))
        return found

    builtins.__import__ = charged


def one_map(out):
    """Draw the map in this process; return the processor seconds of each stage."""
    clock = Clock()
    watch(clock)
    clock.turn("rest")
    from pm25map.cli.main import cli

    words = ["predict", "--date", "2020-09-12", "--out", str(out), "--workers", "1"]
    cli.main(words, standalone_mode=False)
    clock.turn()
    return clock.spent


def measure(checkout):
    """Draw the map with a checkout, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, __file__, "--out", f"{folder}/map.tif"]
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print the medians of both checkouts as rows of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("other", type=Path, nargs="?", help="The other checkout.")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, help="Draw one map here, in this process, and print its stages as JSON."
    )
    asked = parser.parse_args()
    if asked.out:
        print(json.dumps(one_map(asked.out)))  # noqa: T201
        return
    other, own = [], []
    for _ in range(asked.pairs):
        other.append(measure(asked.other.resolve()))
        own.append(measure(ROOT))
    for group in (other, own):
        for row in group:
            row["all"] = sum(row.values())
            row["all but the network"] = row["all"] - row["network"]
    print("| stage | there | here | ratio |\n|---|---|---|---|")  # noqa: T201
    for name in own[0]:
        there, here = (statistics.median(row[name] for row in group) for group in (other, own))
        ratio = statistics.median(a[name] / b[name] for a, b in zip(own, other, strict=True))
        print(f"| {name} | {there:.2f} | {here:.2f} | {ratio:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()

"""Measure this machine into docs/bench.json, and write docs/performance.md from it.

Try: python tests/bench/run.py
     python tests/bench/run.py --part cog
"""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path

import backfill
import cog
import engines
import render

from pm25map.base.cores import usable_cores

CORES = usable_cores()

PARTS: dict[str, Callable[[], object]] = {
    "engines": lambda: engines.measure_all(CORES),
    "cog": cog.measure_all,
    "backfill": lambda: backfill.measure_all(CORES),
}


def machine() -> dict[str, object]:
    """Say what was measured on: processor, cores, and the versions that decide a rate."""
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        text = information.read_text()
        name = match[1] if (match := re.search(r"model name\s*: (.*)", text)) else name
        flags = match[1] if (match := re.search(r"flags\s*: (.*)", text)) else ""
    known = ("avx2", "avx512f", "avx512_fp16", "amx_bf16", "amx_fp16")
    return {
        "processor": name,
        "cores": CORES,
        "has": [flag for flag in known if flag in flags.split()],
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {
            package: importlib.metadata.version(package)
            for package in ("numpy", "onnxruntime", "openvino")
            if _installed(package)
        },
    }


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Measure some parts or all; parts that were not asked for stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--part", action="append", choices=list(PARTS), help="Only this part; may be repeated."
    )
    parser.add_argument("--out", type=Path, default=render.DOCS / "bench.json")
    asked = parser.parse_args()
    held = json.loads(asked.out.read_text()) if asked.out.is_file() else {"parts": {}}
    for name in asked.part or PARTS:
        found = PARTS[name]()
        day = dt.datetime.now(dt.UTC).date().isoformat()
        held["parts"][name] = {"day": day, "machine": machine(), "found": found}
        asked.out.write_text(json.dumps(held, indent=1) + "\n")
    if asked.out.parent == render.DOCS:
        (render.DOCS / "performance.md").write_text(render.render(held))


if __name__ == "__main__":
    main()

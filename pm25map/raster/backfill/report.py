"""What was planned and what happened, side by side, in report.json."""

import dataclasses
import json
import time
from typing import Any

from pm25map.base.files import peak_memory
from pm25map.base.storage import Folder
from pm25map.raster.backfill.forecast import Forecast
from pm25map.raster.backfill.plan import Plan
from pm25map.raster.backfill.run import Outcome

REPORT_FILE = "report.json"


class Measured:
    """Measures seconds and peak memory of this process while it is open.

    Attributes:
        seconds: by a clock that nobody sets.
        peak_bytes: largest resident memory of the process so far.
    """

    seconds = 0.0
    peak_bytes = 0

    def __enter__(self) -> "Measured":
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self.peak_bytes = peak_memory()


def write_report(
    folder: Folder, plan: Plan, expected: Forecast | None, outcome: Outcome, measured: Measured
) -> dict[str, Any]:
    """Write report.json and return what it says."""
    report = {
        "planned": plan.to_json(),
        "forecast": None if expected is None else dataclasses.asdict(expected),
        "happened": {
            "done": len(outcome.done),
            "failed": {str(day): reason for day, reason in sorted(outcome.failed.items())},
            "worker_deaths": dict(sorted(outcome.deaths.items())),
            "estimates": outcome.estimated,
            "read_bytes": outcome.read_bytes,
            "chunk_reads": outcome.chunk_reads,
            "stage_bytes": outcome.stage_bytes,
            "file_bytes": sum(day.size for day in outcome.done),
            "seconds": measured.seconds,
            "peak_bytes": measured.peak_bytes,
        },
    }
    folder.write(REPORT_FILE, (json.dumps(report, indent=1) + "\n").encode())
    return report

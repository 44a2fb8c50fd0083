"""One block of a run of days: estimated day after day, and staged a segment of days at a time."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pm25map.base.errors import Pm25mapError
from pm25map.grid import Block
from pm25map.predictors.cache import ReadCount
from pm25map.raster.backfill.job import Job, OpenJob, open_job
from pm25map.raster.backfill.stage import segment_of, stage_rows
from pm25map.raster.block_bands import Floats
from pm25map.raster.stream import estimate_days

OnCells = Callable[[int], None]
"""Called with the cells that were just estimated."""


@dataclass
class BlockReport:
    """What came of a block.

    Attributes:
        block: id.
        staged: days by name of the files that it left in the stage.
        failed: days that have no estimate, and why.
        estimated: cells times days.
        chunks, bytes: read of the daily predictors.
        staged_bytes: written to the stage.
        seconds: that it took.
    """

    block: str
    staged: dict[str, list[dt.date]] = field(default_factory=dict)
    failed: dict[dt.date, str] = field(default_factory=dict)
    estimated: int = 0
    chunks: int = 0
    bytes: int = 0
    staged_bytes: int = 0
    seconds: float = 0.0

    def fail(self, day: dt.date, error: Pm25mapError) -> None:
        """Return why a day has no estimate."""
        self.failed[day] = " ".join(str(error).split())


def compute_block(
    job: Job, block: Block, days: tuple[dt.date, ...], on_cells: OnCells | None = None
) -> BlockReport:
    """Estimate a block on some days and stage the estimates, a segment of days at a time.

    Args:
        job: what it is for.
        block: of the job's grid.
        days: to estimate, oldest first.
        on_cells: called as the work goes on.

    Returns:
        What came of it; a day whose predictors cannot be read is in `failed` and stops no other.

    Raises:
        DiskFull, BadOutput: the stage cannot be written.
        BadModel, DeviceUnavailable: the model cannot run.
    """
    opened = open_job(job)
    began = time.monotonic()
    report, count = BlockReport(block.id), ReadCount()
    rows: dict[dt.date, tuple[str, Floats]] = {}
    inputs = opened.inputs
    for day, estimate in estimate_days(opened.estimator, block, days, count=count, failed=report.fail):
        if rows and segment_of(day) != segment_of(next(iter(rows))):
            _stage(opened, block, rows, report)
        rows[day] = inputs.predictors.window_checksum(inputs.features, inputs.window(day)), estimate
        report.estimated += estimate.shape[1]
        if on_cells is not None:
            on_cells(estimate.shape[1])
    if rows:
        _stage(opened, block, rows, report)
    report.chunks, report.bytes = count.chunks, count.bytes
    report.seconds = time.monotonic() - began
    return report


def _stage(
    opened: OpenJob, block: Block, rows: dict[dt.date, tuple[str, Floats]], report: BlockReport
) -> None:
    name, size = stage_rows(opened.folder, opened.key, block, rows)
    report.staged[name] = list(rows)
    report.staged_bytes += size
    rows.clear()

"""From a job and its days to a plan: what is there is looked at, and nothing is touched."""

import datetime as dt
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pm25map.base.errors import DayOutsideStore, MissingDays
from pm25map.raster.backfill.day import StoredMap, find_map, identity_of
from pm25map.raster.backfill.job import OpenJob
from pm25map.raster.backfill.plan import RUN_DAYS, Costs, Plan, judge_days, make_plan
from pm25map.raster.backfill.stage import covered, read_stage

_READERS = 8
"""Maps that are looked at together; reading them is all there is to it."""


@dataclass(frozen=True)
class Prepared:
    """A plan, and what it goes on from.

    Attributes:
        plan: what is to be done.
        stored: the maps that are there, by day.
        staged: files by block and day (stage.covered).
    """

    plan: Plan
    stored: dict[dt.date, StoredMap]
    staged: dict[str, dict[dt.date, str]]


def prepare(
    opened: OpenJob,
    days: list[dt.date],
    *,
    longest: int = RUN_DAYS,
    pending: Collection[dt.date] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Look at what is there and plan the rest.

    Args:
        opened: the job.
        days: that were asked for, oldest first.
        longest: days of a run.
        pending: days whose fields will be computed before the backfill begins: they count as there.
        progress: called with the days looked at and the days in all.

    Raises:
        BadPredictors, BadModel, BadGrid: the inputs do not fit together at all.
    """
    inputs, estimator = opened.inputs, opened.estimator
    impossible: dict[dt.date, str] = {}
    for day in days:
        if day in pending:
            continue
        try:
            inputs.check(day)
        except (DayOutsideStore, MissingDays) as error:
            impossible[day] = " ".join(str(error).split())
    possible = [day for day in days if day not in impossible]
    wanted = {day: identity_of(opened, day) for day in possible}
    stored: dict[dt.date, StoredMap] = {}
    with ThreadPoolExecutor(_READERS) as readers:
        looks = readers.map(lambda day: find_map(opened.folder, day), possible)
        for number, (day, there) in enumerate(zip(possible, looks, strict=True), start=1):
            if there is not None:
                stored[day] = there
            if progress is not None:
                progress(number, len(possible))
    windows = {day: identity.predictors for day, identity in wanted.items()}
    staged = covered(read_stage(opened.folder, opened.key), windows)
    view, blocks = opened.view, estimator.blocks()
    costs = Costs(
        window=inputs.window,
        chunks_of=inputs.predictors.chunks_of,
        bytes_to_read=lambda days, block: inputs.predictors.bytes_to_read(inputs.features, days, block),
        variables=sum(name in inputs.predictors.daily for name in inputs.features),
        bands=len(estimator.bands),
        map_cells=view.height * view.width,
        cells_of={block.id: estimator.cells_of(block) for block in blocks},
    )
    verdicts = judge_days(days, wanted, stored, impossible)
    return Prepared(make_plan(verdicts, blocks, staged, costs, longest), stored, staged)

"""`pm25map backfill`: the maps of many days, in a folder that can be left at any moment and gone on with."""

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.jobs import days_asked, job_options, make_job, print_forecast, print_plan, refuse_to_replace

if TYPE_CHECKING:
    from pm25map.base.storage import Folder
    from pm25map.raster.backfill.day import DayReport
    from pm25map.raster.backfill.log import DayLog
    from pm25map.raster.backfill.prepare import Prepared


@click.command()
@job_options
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a Dask scheduler (tcp://host:8786): its workers do the work.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, scheduler: str | None, as_json: bool, **asked: Any) -> None:
    """Draw the PM2.5 maps of many days: OUT/2020/pm25_2020-09-12.tif, a STAC item a day, and a collection.

    Pull the plug at any moment and type the same command again: days that are whole and made of the same model,
    grid, places and predictors are kept, half-done blocks are taken up, and exactly what depends on a changed
    input is made again. Finished maps of another model, grid, region, bands or format are replaced with --overwrite
    only. A day that fails stops no other. OUT/backfill.jsonl gets one line a day;
    OUT/report.json says what was planned and what happened. Exit code 1 if a day failed.

    \b
    Try: pm25map backfill --start 2020-09-05 --end 2020-09-20 --out maps
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadPredictors
    from pm25map.raster.backfill.collection import write_collection
    from pm25map.raster.backfill.forecast import forecast
    from pm25map.raster.backfill.job import open_job, remember_engine
    from pm25map.raster.backfill.lock import only_one
    from pm25map.raster.backfill.prepare import prepare
    from pm25map.raster.backfill.report import Measured, write_report
    from pm25map.raster.backfill.run import Backfill
    from pm25map.raster.backfill.stage import sweep
    from pm25map.raster.backfill.workers import open_workers

    days = days_asked(asked)
    refuse_to_replace(asked, days)
    job, inputs, _ = make_job(asked, days)
    opened = open_job(job, inputs)
    # A scheduler that does not answer is known before anything is written.
    with open_workers(scheduler, asked["workers"]) as workers, only_one(opened.folder):
        remember_engine(opened)
        prepared = prepare(opened, days, longest=asked["run_days"])
        plan = prepared.plan
        try:
            # A trial here says nothing of the workers of a cluster.
            expected = forecast(opened, plan, asked["workers"], 0.0 if scheduler else asked["calibrate"])
        except BadPredictors as error:
            # Whatever can be read is made all the same; the days that cannot are named at the end.
            click.echo(str(error), err=True)
            expected = None
        log = _log_of(opened.folder, prepared)
        if not as_json:
            print_plan(plan, expected)
        with (
            Measured() as measured,
            _Screen(plan.estimates, log) as screen,
        ):
            try:
                outcome = Backfill(job, plan, opened.folder, prepared.staged, workers, screen).work()
            except KeyboardInterrupt:
                raise click.ClickException("stopped. Type the same command again to go on") from None
            finally:
                log.flush()
        sweep(opened.folder, {v.day for v in plan.days_of("done")} | {report.day for report in outcome.done})
        number, damaged = write_collection(opened.folder)
        told = write_report(opened.folder, plan, expected, outcome, measured)
    failed = {v.day: v.reason for v in plan.days_of("impossible")} | outcome.failed
    if as_json:
        click.echo(json.dumps(told))
    else:
        print_forecast(told)
        click.echo(
            f"{asked['out']}: {number} maps; {len(outcome.done)} made now, {len(plan.days_of('done'))} kept"
        )
        _print_lacking(damaged, failed)
    if failed:
        raise SystemExit(1)


def _print_lacking(damaged: list[str], failed: dict[dt.date, str]) -> None:
    """Print which items the collection leaves out, and which days have no map, and why."""
    for name in damaged:
        click.echo(f"collection.json leaves out {name}: it is damaged; make its day again")
    for day, reason in sorted(failed.items()):
        click.echo(f"{day} has no map: {reason}")


def _log_of(folder: "Folder", prepared: "Prepared") -> "DayLog":
    """Open the log, and write into it what the plan says of days that need no work."""
    from pm25map.raster.backfill.log import DayLog

    log = DayLog(folder)
    for verdict in prepared.plan.days_of("done"):
        there = prepared.stored[verdict.day]
        if not log.knows(str(verdict.day), there.sha256):
            log.add(day=str(verdict.day), state="done", sha256=there.sha256)
    for verdict in prepared.plan.days_of("impossible"):
        log.add(day=str(verdict.day), state="impossible", reason=verdict.reason)
    return log


class _Screen:
    """Progress on stderr, with rate and time left; and the log."""

    def __init__(self, total: int, log: "DayLog") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._log = log
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("0 maps", total=total, rate="")
        self._maps = 0

    def __enter__(self) -> "_Screen":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def estimated(self, cells: int) -> None:
        """Move the bar."""
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, advance=cells, rate=f"{speed:,.0f} cells/s" if speed else "")

    def day_done(self, report: "DayReport") -> None:
        """Log a map."""
        self._maps += 1
        self._bar.update(self._task, description=f"{self._maps} maps")
        self._log.add(
            day=str(report.day),
            state="done",
            sha256=report.sha256,
            bytes=report.size,
            cells=report.cells,
            maximum_ugm3=round(report.maximum, 2),
            mean_ugm3=round(report.mean, 3),
            seconds=round(report.seconds, 3),
        )

    def day_failed(self, day: dt.date, reason: str) -> None:
        """Log a failure."""
        self._log.add(day=str(day), state="failed", reason=reason)

    def worker_died(self, what: str, deaths: int) -> None:
        """Report what a worker died of."""
        self._say(f"a worker died while it worked on {what}: {deaths} so far")

    def no_workers(self, seconds: float) -> None:
        """Report that no worker is left."""
        self._say(f"all workers are gone: waiting up to {seconds:g} s for one")

    def _say(self, line: str) -> None:
        """Print a line on stderr, above the bar."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

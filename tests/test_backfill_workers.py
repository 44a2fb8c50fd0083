"""The loop of a backfill on workers that die: what they died of is named, and everything else is made."""

import datetime as dt
from concurrent.futures import Future

import pytest

from pm25map.base.errors import DeviceUnavailable
from pm25map.base.storage import LocalFolder
from pm25map.grid import Block
from pm25map.raster.backfill import run as loop
from pm25map.raster.backfill.block import BlockReport
from pm25map.raster.backfill.day import DayReport
from pm25map.raster.backfill.plan import Plan, Run, Task
from pm25map.raster.backfill.workers import ClusterWorkers

DAYS = [dt.date(2020, 9, 1) + dt.timedelta(days=i) for i in range(6)]
BLOCKS = [Block(0, 4 * i, 4, 4) for i in range(3)]
DEADLY = BLOCKS[1], DAYS[0]


class Died(Exception):
    """In place of a worker that ends."""


def estimate(job, block, days):
    if (block, days[0]) == DEADLY:
        raise Died
    return BlockReport(block.id)


def assemble(job, day, names):
    return DayReport(day, "", 0, 0, 0.0, 0.0, 0.0)


class Cluster:
    """Two workers of one thread; one that dies is there again at the next look, unless all shall stay away."""

    local, killed = False, ()

    def __init__(self, *, stays_away=False):
        self.stays_away = stays_away
        self.lost, self.threads, self.alone = [], 2, []

    def look(self):
        lost, self.lost = self.lost, []
        return lost

    def count(self):
        return self.threads

    def submit(self, function, *arguments, alone=False):
        if not self.threads:
            return None
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Died:
            self.lost.append(future)
            self.threads = 0 if self.stays_away else self.threads
        if alone:
            self.alone.append(arguments[1:])
        return future


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.deaths, self.waits = [], []

    def estimated(self, cells):
        pass

    def day_done(self, report):
        pass

    def day_failed(self, day, reason):
        pass

    def worker_died(self, what, deaths):
        self.deaths.append((what, deaths))

    def no_workers(self, seconds):
        self.waits.append(seconds)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run two runs of three days on workers; give what came of it and what was heard."""
    monkeypatch.setattr(loop, "compute_block", estimate)
    monkeypatch.setattr(loop, "assemble_day", assemble)
    monkeypatch.setattr(loop, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(loop, "_PATIENCE_SECONDS", 0.05)
    runs = tuple(
        Run(days, tuple(Task(block, days) for block in BLOCKS)) for days in (tuple(DAYS[:3]), tuple(DAYS[3:]))
    )
    plan = Plan((), runs, 0, 0, 0, 0, 0, 0, 0)
    heard = Heard()

    def begin(workers):
        return loop.Backfill(None, plan, LocalFolder(tmp_path), {}, workers, heard)

    return begin, heard


def test_what_three_workers_died_of_is_named_and_every_other_day_made(start):
    begin, heard = start
    workers = Cluster()
    outcome = begin(workers).work()
    assert sorted(report.day for report in outcome.done) == DAYS[3:]
    assert list(outcome.failed) == DAYS[:3]
    name = f"block {BLOCKS[1].id} of {DAYS[0]} to {DAYS[2]}"
    assert all(f"3 workers died while they worked on {name}" in reason for reason in outcome.failed.values())
    assert outcome.deaths == {name: 3}
    assert heard.deaths == [(name, 1), (name, 2), (name, 3)]
    assert workers.alone == [(BLOCKS[1], tuple(DAYS[:3]))] * 2  # from the second time on


def test_a_backfill_whose_workers_are_all_gone_says_so_and_ends(start):
    begin, heard = start
    with pytest.raises(DeviceUnavailable, match="all workers are gone") as ended:
        begin(Cluster(stays_away=True)).work()
    assert f"1 died on block {BLOCKS[1].id}" in str(ended.value)
    assert "same command again" in str(ended.value)
    assert heard.waits == [0.05]


class Client:
    """A Dask client whose workers are what a test says."""

    def __init__(self, threads):
        self.threads, self.status, self.given = threads, "running", []

    def nthreads(self):
        if not self.threads:
            raise OSError("connection refused")
        return self.threads

    def get_executor(self, pure):
        return self

    def submit(self, function, *arguments, workers, allow_other_workers):
        assert not allow_other_workers
        self.given.append((arguments, workers))
        return Future()


def test_a_suspect_shares_no_worker_and_the_work_of_a_lost_one_comes_back():
    pytest.importorskip("distributed")
    client = Client({"one": 2, "two": 2})
    workers = ClusterWorkers(client)
    assert workers.look() == []
    plain = [workers.submit(print, number) for number in range(2)]
    assert sorted(place for _, (place,) in client.given) == ["one", "two"]
    assert workers.submit(print, "suspect", alone=True) is None  # neither is idle
    plain[1].set_result(None)
    suspect = workers.submit(print, "suspect", alone=True)
    alone_on = client.given[-1][1][0]
    assert suspect is not None
    assert workers.submit(print, "third") is not None  # beside the first, not beside the suspect
    assert workers.submit(print, "fourth") is None
    client.threads = {place: 2 for place in ("one", "two") if place != alone_on}
    assert workers.look() == [suspect]
    assert suspect.cancelled()
    assert workers.count() == 2
    client.threads = {}
    assert len(workers.look()) == 2
    assert workers.count() == 0

"""The cores of a container are those of its quota, not those of the machine."""

import os

import pytest

from pm25map.base import cores


@pytest.fixture
def sixteen(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("text", "count"),
    [("max 100000", 16), ("150000 100000", 2), ("50000 100000", 1), ("9900000 100000", 16), ("nonsense", 16)],
)
def test_a_quota_of_a_control_group_counts(sixteen, tmp_path, text, count):
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cores.usable_cores(tmp_path) == count


@pytest.mark.parametrize(("quota", "count"), [("-1", 16), ("300000", 3)])
def test_a_quota_of_the_older_version_counts(sixteen, tmp_path, quota, count):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores.usable_cores(tmp_path) == count


def test_cores_that_are_withheld_do_not_count(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7}, raising=False)
    assert cores.usable_cores(tmp_path) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores(tmp_path) == 1

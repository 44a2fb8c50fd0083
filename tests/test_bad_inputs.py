"""Every bad value of every option of every command: one line that names it, no traceback, and nothing written."""

import pytest
from bad_inputs import GOOD, Case, build, cases, commands, refused, words_of


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    build(folder)
    return folder


def test_every_command_is_in_the_table():
    silent = {("doctor",), ("grid", "list")}
    assert {names for names, _ in commands()} - silent == set(GOOD)
    assert len(cases()) >= 400


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_a_bad_value_is_refused_in_one_line(world, monkeypatch, capsys, tmp_path_factory, case: Case):
    line = refused(world, monkeypatch, capsys, tmp_path_factory.getbasetemp(), words_of(case))
    culprits = [case.option, "the command", *(value[:30] for value in case.values if value)]
    also = [value for value in GOOD[case.command].values() if value.startswith("absent")]
    assert any(name in line for name in [*culprits, *also]) or case.option.upper() in line, line

"""The doctor: it finds what is wrong and says the way out."""

import json

import pytest
from click.testing import CliRunner

from pm25map.cli.doctor import command


def findings(code=0):
    result = CliRunner().invoke(command, ["--json"])
    assert result.exit_code == code
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_a_whole_installation_has_no_problem():
    found = findings()
    assert {row["state"] for row in found.values()} <= {"ok", "warning"}
    assert "onnxruntime (f32)" in found["engines"]["text"]
    assert "79,838 land cells" in found["grid"]["text"]
    assert "2020-08-16 to 2020-09-20" in found["sample"]["text"]


@pytest.mark.parametrize(
    ("wheels", "way_out"),
    [(["onnxruntime", "onnxruntime-gpu"], "pip uninstall -y"), ([], "pip install 'pm25map[cpu]'")],
)
def test_both_or_neither_runtime_is_a_problem_with_a_way_out(monkeypatch, wheels, way_out):
    monkeypatch.setattr("pm25map.base.onnx.installed_wheels", lambda: wheels)
    found = findings(code=3)
    assert found["onnxruntime"]["state"] == "problem"
    assert way_out in found["onnxruntime"]["text"]
    assert found["grid"]["state"] == "ok"


def test_a_missing_extra_is_only_a_warning(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else True)
    assert findings()["train extra"]["state"] == "warning"

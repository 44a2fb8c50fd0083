"""The page of figures is what the renderer gives from the measured ones, and measuring works."""

import json
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import cog
    import engines
    import render
    import stages

    yield {"cog": cog, "engines": engines, "render": render, "stages": stages}
    for name in ("cog", "engines", "render", "stages"):
        sys.modules.pop(name)


def test_the_page_is_written_from_the_measured_figures(bench):
    render = bench["render"]
    held = json.loads((render.DOCS / "bench.json").read_text())
    assert render.render(held) == (render.DOCS / "performance.md").read_text(), (
        "docs/performance.md was edited by hand: edit tests/bench/performance.md.in, "
        "then run python tests/bench/render.py"
    )


def test_no_measured_engine_was_refused_and_none_but_stock_is_stock(bench):
    held = json.loads((bench["render"].DOCS / "bench.json").read_text())
    for table in held["parts"]["engines"]["found"]["tables"]:
        assert table["engines"]["onnxruntime"]["against_stock"] == 1
        assert all(not row["refused"] for row in table["engines"].values())


def test_a_part_that_nobody_measured_says_so(bench):
    assert "Not measured yet." in bench["render"].render({"parts": {}})


def test_engines_are_measured(bench):
    found = bench["engines"].measure("conus-open", 1, rounds=1, cells=64)
    assert found["engines"]["onnxruntime"]["cells_per_second"] > 0
    assert found["engines"]["onnxruntime"]["worst_ugm3"] == 0
    assert found["engines"]["onnxruntime-unrolled"]["share_of_gemm"] > 0


def test_the_arithmetic_of_the_reference_is_counted_as_in_the_paper(bench):
    """About 71 MFLOP a cell at 256/128/128 with 19 predictors, 67.7 of them in the LSTMs."""
    from pm25map.model.card import NetworkShape, load_model

    card = load_model("conus-open").card
    full = card.model_copy(update={"network": NetworkShape()})
    assert 70e6 < bench["engines"].flop_a_cell(full) < 72.5e6


def test_writing_is_measured(bench):
    (row,) = bench["cog"].measure_all(((40, 60),), rounds=1)
    assert (row["rows"], row["cols"]) == (40, 60)
    assert row["seconds"] >= 0


def test_a_product_in_openvino_can_be_measured(bench):
    pytest.importorskip("openvino")
    assert bench["engines"].openvino_gemm("f32")() > 1e8


def test_a_stage_is_not_charged_for_another_that_it_calls(bench, monkeypatch):
    now = iter([1.0, 3.0, 7.0, 8.0])
    monkeypatch.setattr("time.process_time", lambda: next(now))
    clock = bench["stages"].Clock()
    read = clock.around(lambda: None, "predictors")
    clock.around(read, "network")()
    spent = {name: seconds for name, seconds in clock.spent.items() if seconds}
    assert spent == {"imports": 1.0, "network": 3.0, "predictors": 4.0}

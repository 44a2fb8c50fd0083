"""Engines: the same numbers from each, bit for bit whatever the batch, and a refusal where that fails."""

import json
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from pm25map.base.card_file import CHECKSUM
from pm25map.base.errors import BadModel, BadPredictors, DeviceUnavailable, EngineRefused, UnknownName
from pm25map.base.onnx import import_onnxruntime
from pm25map.cli.main import cli
from pm25map.model import calibrate as calibrate_module
from pm25map.model.calibrate import (
    WORST_UGM3,
    EngineRate,
    calibrate,
    choose_engine,
    resolve_engine,
    usable_engines,
)
from pm25map.model.card import CARD_FILE, NETWORK_FILE, Model, load_model, read_card
from pm25map.model.engines import devices, openvino
from pm25map.model.engines import onnx as onnx_engine
from pm25map.model.engines.independence import check_batch_independence, likely_windows
from pm25map.model.engines.onnx import BoundSession, cells_that_fit
from pm25map.model.engines.session import BatchedSession
from pm25map.model.graphs import add_unrolled
from pm25map.model.runtime import ENGINES, open_session, why_not
from pm25map.model.unroll import unroll

GB = 1 << 30


@pytest.fixture(scope="module")
def model():
    return load_model("conus-open")


def here(*names):
    """Those engines that this machine has."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(why_not(name) is not None, reason=str(why_not(name))))
        for name in names
    ]


FULL = here("onnxruntime", "onnxruntime-unrolled", "openvino")
HALF = here("openvino-f16", "openvino-bf16")


@pytest.mark.parametrize("engine", FULL)
def test_an_engine_gives_what_stock_gives(model, engine):
    window, place = likely_windows(model.card, 300)
    stock = open_session(model, "cpu")
    session = open_session(model, "cpu", engine=engine)
    assert session.engine == engine
    assert session.bands == ("pm25",)
    found = session.estimate(window, place)
    assert found.shape == (1, 300)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], stock.run(window, place), atol=2e-4)


@pytest.mark.parametrize("engine", FULL)
def test_a_cell_gets_the_same_bits_in_any_batch(model, engine):
    check_batch_independence(open_session(model, "cpu", engine=engine))


@pytest.mark.parametrize("engine", HALF)
def test_half_precision_agrees_with_stock_or_is_refused(model, engine):
    """Processors round half precision differently: what is promised on each is the rule, not the engine.

    The windows are those of the rule, and the difference is taken here anew.
    """
    stock, session = open_session(model, "cpu"), open_session(model, "cpu", engine=engine)
    window, place = likely_windows(model.card, 512, seed=3)
    found = session.run(window, place)
    assert np.isfinite(found).all()
    worst = float(np.abs(found - stock.run(window, place)).max())
    try:
        check_batch_independence(session)
        independent = True
    except EngineRefused:
        independent = False
    if independent and worst <= WORST_UGM3:
        assert resolve_engine(model, engine) == engine
    else:
        with pytest.raises(EngineRefused, match=rf"engine {engine} .* is refused: .*ug/m3"):
            resolve_engine(model, engine)


@pytest.mark.parametrize("engine", [*FULL, *HALF])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_never_reaches_an_engine(model, monkeypatch, engine, value):
    """ONNX Runtime's LSTM and OpenVINO's Relu make plausible numbers of NaN: nothing may rely on what comes out."""
    session = open_session(model, "cpu", engine=engine)
    monkeypatch.setattr(session, "_infer", lambda *_: pytest.fail("the engine was asked"))
    window, place = likely_windows(model.card, 40)
    name = model.card.scaler.inputs[2]
    window[33, 4, 2] = value
    with pytest.raises(
        BadPredictors, match=rf"window of cell 33 holds -?(nan|inf) for {name} on its day 5 of 21"
    ):
        session.estimate(window, place)
    window[33, 4, 2], place[7, 1] = 0, value
    with pytest.raises(BadModel, match=r"place vector of cell 7 holds -?(nan|inf) as its number 2"):
        session.run(window, place)


@pytest.mark.parametrize("engine", FULL)
def test_a_missing_predictor_takes_the_declared_path_in_every_engine(model, engine):
    """NaN of the table becomes the mean and its indicator in the scaler; then every engine gives the same."""
    scaler = model.card.scaler
    raw = np.full((40, model.card.window_days, len(scaler.features)), np.nan)
    raw[::2] = [
        scale.center if scale.transform == "linear" else np.expm1(scale.center)
        for scale in scaler.scales.values()
    ]
    window = scaler.apply(raw)
    told = window[..., len(scaler.features) :]
    assert np.isfinite(window).all() and (told[::2] == 0).all() and (told[1::2] == 1).all()
    _, place = likely_windows(model.card, 40)
    found = open_session(model, "cpu", engine=engine).run(window, place)
    np.testing.assert_allclose(found, open_session(model, "cpu").run(window, place), atol=2e-4)


@pytest.mark.parametrize("engine", [*FULL, *HALF])
def test_a_session_leaves_small_numbers_of_the_process_alone(model, engine):
    window, place = likely_windows(model.card, 4)
    open_session(model, "cpu", engine=engine).run(window, place)
    assert np.float32(1e-40) * np.ones(1, np.float32) != 0


@pytest.mark.parametrize("engine", ["onnxruntime", "onnxruntime-unrolled"])
def test_threads_do_not_change_a_bit(model, engine):
    window, place = likely_windows(model.card, 300)
    one, two = (open_session(model, "cpu", threads, engine).run(window, place) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_the_padding_is_what_makes_few_cells_equal_to_many(model):
    """Without it ONNX Runtime takes another kernel for one row: the check would see that."""
    session = open_session(model, "cpu")
    session.quantum = 1
    with pytest.raises(EngineRefused, match="at a time"):
        check_batch_independence(session)


class Leaky(BatchedSession):
    """An engine whose cells feel the largest value in the call, as dynamic quantization does."""

    def _infer(self, window, place):
        own = window.mean(axis=(1, 2)) + 10
        return (own + 1e-4 * np.abs(window).max()).astype(np.float32)


def test_an_engine_whose_cells_feel_each_other_is_refused(model):
    with pytest.raises(EngineRefused, match=r"engine onnxruntime \(fake\) is refused: .* ug/m3"):
        check_batch_independence(Leaky(model.card, "onnxruntime", "fake"))


def test_dynamic_int8_is_refused(model, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    plain = onnx.load(model.network)
    del plain.graph.value_info[:]
    quantization.quantize_dynamic(plain, tmp_path / NETWORK_FILE, op_types_to_quantize=["LSTM"])
    graph = onnx.load(tmp_path / NETWORK_FILE)
    assert any(node.op_type == "DynamicQuantizeLSTM" for node in graph.graph.node)
    with pytest.raises(EngineRefused, match="is refused"):
        check_batch_independence(open_session(replace(model, network=tmp_path / NETWORK_FILE), "cpu"))


def test_an_unknown_engine_is_said(model):
    with pytest.raises(UnknownName, match="onnxruntime-unrolled"):
        open_session(model, engine="tensorflow")


def test_the_unrolled_graph_holds_products_alone(model):
    kinds = {node.op_type for node in onnx.load(model.graph("unrolled")).graph.node}
    assert "LSTM" not in kinds
    assert {"Gemm", "Sigmoid", "Tanh"} <= kinds


def test_unrolling_is_exact_step_by_step():
    """Against the LSTM op, with more and fewer days and odd widths."""
    rng = np.random.default_rng(0)
    for days, inputs, units in ((1, 3, 2), (2, 1, 5), (9, 4, 3)):
        native = lstm(rng, days, inputs, units)
        window = rng.normal(size=(64, days, inputs)).astype(np.float32)
        found = [
            import_onnxruntime()
            .InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
            .run(None, {"window": window})[0]
            for graph in (native, unroll(native))
        ]
        np.testing.assert_allclose(found[0], found[1], atol=1e-6)
        assert found[0].std() > 0.01


def lstm(rng, days, inputs, units, **attributes):
    """A graph like those that torch exports: one bidirectional LSTM from zero, its layout, and a sum."""
    shape = {"w": (2, 4 * units, inputs), "r": (2, 4 * units, units), "b": (2, 8 * units)}
    held = {name: rng.normal(size=size).astype(np.float32) for name, size in shape.items()}
    held |= {"to": np.array([0, 0, -1]), "scale": np.ones(2 * units, np.float32)}
    attributes = {"direction": "bidirectional", "hidden_size": units} | attributes
    nodes = [
        helper.make_node("Transpose", ["window"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["turned", "w", "r", "b"], ["y"], **attributes),
        helper.make_node("Transpose", ["y"], ["apart"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["apart", "to"], ["joined"]),
        helper.make_node("Transpose", ["joined"], ["back"], perm=[1, 0, 2]),
        helper.make_node("LayerNormalization", ["back", "scale"], ["norm"], axis=-1),
        helper.make_node("ReduceMean", ["norm"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["back", "norm"], ["pm25"]),
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "one",
        [tensor("window", onnx.TensorProto.FLOAT, ["cells", days, inputs])],
        [tensor("pm25", onnx.TensorProto.FLOAT, ["cells", days, 2 * units])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_an_lstm_of_another_kind_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(BadModel, match="no plain bidirectional LSTM"):
        unroll(lstm(rng, 3, 2, 2, input_forget=1))
    started = lstm(rng, 3, 2, 2)
    node = started.graph.node[1]
    node.input.extend(["", "start", "start"])
    started.graph.initializer.append(numpy_helper.from_array(np.ones((2, 1, 2), np.float32), "start"))
    with pytest.raises(BadModel, match="no plain bidirectional LSTM"):
        unroll(started)
    seen = lstm(rng, 3, 2, 2)
    seen.graph.node.append(helper.make_node("Identity", ["apart"], ["more"]))
    with pytest.raises(BadModel, match="one Reshape alone"):
        unroll(seen)


def copied(model, folder):
    for path in model.network.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_card_from_before_there_were_graphs_is_read_and_gets_one(model, tmp_path):
    folder = copied(model, tmp_path)
    card = json.loads((folder / CARD_FILE).read_text())
    del card["graphs"], card["members"], card[CHECKSUM]
    (folder / CARD_FILE).write_text(json.dumps(card))
    (folder / "unrolled.onnx").unlink()
    old = load_model(str(folder))
    assert old.card.checksum == model.card.checksum
    with pytest.raises(BadModel, match="pm25map export --unroll"):
        open_session(old, "cpu", engine="onnxruntime-unrolled")
    assert usable_engines(old)[:2] in (("onnxruntime",), ("onnxruntime", "cuda"))
    window, place = likely_windows(old.card, 64)
    made = add_unrolled(folder, window, place)
    assert made.card == read_card(folder / CARD_FILE)
    assert made.card.graphs["unrolled"].parity.windows == 64
    assert made.card.checksum == model.card.checksum
    open_session(made, "cpu", engine="onnxruntime-unrolled")


def test_a_damaged_unrolled_graph_is_refused(model, tmp_path):
    folder = copied(model, tmp_path)
    (folder / "unrolled.onnx").write_bytes(b"nothing")
    with pytest.raises(BadModel, match="absent or damaged"):
        open_session(load_model(str(folder)), "cpu", engine="onnxruntime-unrolled")


# OpenVINO


def test_the_head_stays_float32_and_body_and_head_together_are_the_network(model, monkeypatch):
    pytest.importorskip("openvino")
    seen = []

    def both_float32(*arguments):
        parts = cut(*arguments[:3], "f16")
        seen.extend(precision for _, precision in parts)
        return [(part, "f32") for part, _ in parts]

    cut = openvino._parts
    monkeypatch.setattr(openvino, "_parts", both_float32)
    window, place = likely_windows(model.card, 300)
    split = open_session(model, "cpu", engine="openvino").run(window, place)
    assert seen == ["f16", "f32"]
    np.testing.assert_allclose(split, open_session(model, "cpu").run(window, place), atol=2e-4)


def test_half_precision_is_refused_where_the_processor_lacks_it(model, monkeypatch):
    vino = pytest.importorskip("openvino")
    if "FP16" in vino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has it")
    with pytest.raises(DeviceUnavailable, match="does not compute in f16"):
        open_session(model, "cpu", engine="openvino-f16")


def test_an_engine_that_would_compute_in_another_precision_does_not_open(model, monkeypatch):
    """OpenVINO takes f16 for a wish: where the processor lacks it, it computes in bf16 or float32 and says nothing."""
    vino = pytest.importorskip("openvino")
    if "FP16" in vino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor computes in f16")
    monkeypatch.setattr(openvino, "why_not", lambda _: None)
    with pytest.raises(DeviceUnavailable, match=r"computes in (bf16|f32) where f16 was asked for"):
        open_session(model, "cpu", engine="openvino-f16")


def test_an_absent_openvino_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "pm25map[intel]" in why_not("openvino")
    with pytest.raises(Exception, match=r"pip install 'pm25map\[intel\]'"):
        open_session(model, "cpu", engine="openvino")


# CUDA


def no_cuda(monkeypatch):
    for module in (devices, onnx_engine):
        monkeypatch.setattr(module, "count_cuda_devices", lambda: 0)


def test_cuda_is_refused_without_a_device(model, monkeypatch):
    no_cuda(monkeypatch)
    with pytest.raises(DeviceUnavailable, match="no CUDA device was found"):
        open_session(model, engine="cuda")
    with pytest.raises(DeviceUnavailable, match="no CUDA device was found"):
        open_session(model, "cuda")
    with pytest.raises(DeviceUnavailable, match="--engine cuda"):
        open_session(model, "cuda", engine="openvino")
    with pytest.raises(DeviceUnavailable, match="runs on no CPU"):
        open_session(model, "cpu", engine="cuda")


def test_a_batch_is_a_power_of_two_that_fits_half_of_the_free_memory(model):
    card = model.card.model_copy(
        update={"network": model.card.network.model_copy(update={"lstm": (256, 128, 128)})}
    )
    sizes = [cells_that_fit(free, card) for free in (1 * GB, 2 * GB, 6 * GB, 24 * GB, 140 * GB)]
    assert sizes == sorted(sizes)
    assert all(size & (size - 1) == 0 for size in sizes)
    assert sizes[0] >= onnx_engine.SMALLEST_BATCH
    assert sizes[-1] == onnx_engine.LARGEST_BATCH
    assert cells_that_fit(6 * GB, card) == cells_that_fit(6 * GB - 50_000_000, card)
    three = card.model_copy(update={"members": (card.training,) * 3})
    assert cells_that_fit(6 * GB, three) < cells_that_fit(6 * GB, card)
    with pytest.raises(DeviceUnavailable, match=r"100 MB free, .* needs"):
        cells_that_fit(100_000_000, card)


def test_bound_buffers_give_what_arrays_give(model):
    """The way of a CUDA session, with its buffers on the CPU."""
    inference = onnx_engine._open(model, model.network, 1, ["CPUExecutionProvider"])
    bound = BoundSession(model.card, "cuda", inference, "cpu", 0, 64)
    window, place = likely_windows(model.card, 150)
    first = bound.run(window, place)
    np.testing.assert_array_equal(first, open_session(model, "cpu").run(window, place))
    bound.run(window[:5] + 1, place[:5])
    np.testing.assert_array_equal(bound.run(window, place), first)
    check_batch_independence(bound)


# Choosing


def rates(**found):
    return [EngineRate(name.replace("_", "-"), "p", *value) for name, value in found.items()]


def test_stock_is_left_only_for_a_clear_gain_within_a_tenth_of_a_microgram():
    assert choose_engine(rates(onnxruntime=(100, 0), openvino=(109, 0))) == "onnxruntime"
    assert choose_engine(rates(onnxruntime=(100, 0), openvino=(111, 0))) == "openvino"
    assert choose_engine(rates(onnxruntime=(100, 0), openvino=(400, 0.11))) == "onnxruntime"
    assert choose_engine(rates(onnxruntime=(100, 0), openvino=(400, 0, "seams"))) == "onnxruntime"
    fast = rates(onnxruntime=(100, 0), onnxruntime_unrolled=(120, 0), openvino=(150, 0.05))
    assert choose_engine(fast) == "openvino"
    assert choose_engine([]) == "onnxruntime"
    assert choose_engine(rates(onnxruntime=(100, 0), openvino=(0, float("nan")))) == "onnxruntime"


def test_calibration_measures_every_engine_that_is_there(model):
    names = ("onnxruntime", "onnxruntime-unrolled")
    found = calibrate(model, names, seconds=0.2, threads=1, sessions=2)
    assert [rate.engine for rate in found] == list(names)
    assert all(rate.cells_per_second > 0 for rate in found)
    assert found[0].worst_ugm3 == 0
    assert found[1].worst_ugm3 < 1e-3
    assert not any(rate.refused for rate in found)


def with_fake(monkeypatch, fake):
    true = calibrate_module.open_session

    def opens(model, device="auto", threads=1, engine="onnxruntime", device_id=0):
        return (
            fake(model.card, engine, "fake") if engine == "openvino" else true(model, device, threads, engine)
        )

    monkeypatch.setattr(calibrate_module, "open_session", opens)


def test_calibration_and_choice_refuse_an_engine_with_seams(model, monkeypatch):
    with_fake(monkeypatch, Leaky)
    found = calibrate(model, ("onnxruntime", "openvino"), seconds=0.1)
    assert "is refused" in found[1].refused
    assert found[1].cells_per_second == 0
    assert choose_engine(found) == "onnxruntime"
    with pytest.raises(EngineRefused, match="Use --engine onnxruntime"):
        resolve_engine(model, "openvino")


class Wrong(BatchedSession):
    """An engine without seams whose numbers are a microgram off."""

    def _infer(self, window, place):
        return 1 + open_session(load_model("conus-open"), "cpu").run(window, place)


def test_an_engine_beyond_a_tenth_of_a_microgram_is_refused(model, monkeypatch):
    with_fake(monkeypatch, Wrong)
    monkeypatch.setattr(calibrate_module, "check_batch_independence", lambda session: None)
    with pytest.raises(EngineRefused, match=r"differs from stock ONNX Runtime by up to 1 ug/m3"):
        resolve_engine(model, "openvino")


def test_auto_is_resolved_by_the_caller(model, monkeypatch):
    monkeypatch.setattr(calibrate_module, "usable_engines", lambda model: ("onnxruntime",))
    assert resolve_engine(model, "auto") == "onnxruntime"
    assert resolve_engine(model, "onnxruntime") == "onnxruntime"
    assert resolve_engine(model, "onnxruntime-unrolled") == "onnxruntime-unrolled"
    assert set(usable_engines(model)) <= set(ENGINES)


def test_a_network_with_a_foreign_card_is_refused(model, tmp_path):
    graph = onnx.load(model.graph("unrolled"))
    helper.set_model_props(graph, {"card": "another"})
    onnx.save(graph, tmp_path / NETWORK_FILE)
    with pytest.raises(BadModel, match="carries another card"):
        open_session(Model(model.card, tmp_path / NETWORK_FILE), "cpu")


def test_a_map_says_its_engine_and_the_command_that_names_it(tmp_path, monkeypatch):
    rasterio = pytest.importorskip("rasterio")
    monkeypatch.chdir(tmp_path)
    words = ["predict", "--date", "2020-09-12", "--region", "rhode-island", "--device", "cpu", "--json"]
    for engine in ("onnxruntime", "onnxruntime-unrolled"):
        result = CliRunner().invoke(
            cli, [*words, "--engine", engine, "--out", f"{engine}.tif"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["engine"] == engine
    with rasterio.open("onnxruntime.tif") as stock, rasterio.open("onnxruntime-unrolled.tif") as other:
        assert other.tags()["PM25MAP_ENGINE"] == "onnxruntime-unrolled"
        assert {one.tags()["PM25MAP_PRECISION"] for one in (stock, other)} == {"f32"}
        assert "--engine onnxruntime-unrolled" in other.tags()["PM25MAP_COMMAND"]
        assert "--engine" not in stock.tags()["PM25MAP_COMMAND"]
        np.testing.assert_allclose(stock.read(1), other.read(1), atol=1e-3)
    result = CliRunner().invoke(cli, [*words, "--engine", "fast", "--out", "a.tif"])
    assert result.exit_code == 2
    assert "onnxruntime-unrolled" in result.output

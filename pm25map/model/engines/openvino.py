"""OpenVINO on the CPU: the unrolled graph, in float32 or with a half-precision body and a float32 head."""

import importlib
import re
from types import ModuleType
from typing import Any

from pm25map.base.errors import BadInstall, BadModel, DeviceUnavailable
from pm25map.model.card import Model, ModelCard
from pm25map.model.engines.session import BatchedSession, EngineName, FloatArray

PRECISIONS: dict[EngineName, str] = {"openvino": "f32", "openvino-f16": "f16", "openvino-bf16": "bf16"}

CAPABILITIES = {"f32": "FP32", "f16": "FP16", "bf16": "BF16"}
"""Their names in OpenVINO's OPTIMIZATION_CAPABILITIES, listed only where the processor computes in them."""

_CUT = re.compile(r"(.*/)?steps")
"""Tensors between the recurrent body and the head: pm25map.model.unroll names them."""


class OpenVinoSession(BatchedSession):
    """A model that OpenVINO runs, every call with the same number of cells."""

    # Compiled for one shape: 6 to 25 % faster than a free number of cells (docs/performance.md).
    quantum = cells_a_call = 256

    def __init__(self, card: ModelCard, engine: EngineName, path: str, threads: int) -> None:
        openvino = _import_openvino()
        precision = PRECISIONS[engine]
        super().__init__(card, engine, f"OpenVINO CPU {precision}")
        self._core = openvino.Core()
        shapes = {"window": [self.quantum, card.window_days, len(card.scaler.inputs)]}
        if card.place.dimension:
            shapes["place"] = [self.quantum, card.place.dimension]
        try:
            whole = self._core.read_model(path)
            whole.reshape(shapes)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1][:160]
            raise BadModel(f"{path} is no network for OpenVINO: {reason}. Export the model again") from error
        self._parts = []
        for piece, wanted in _parts(openvino, self._core, whole, precision):
            part = _GraphPart(self._core, piece, wanted, threads)
            if part.precision != wanted:
                raise DeviceUnavailable(
                    f"--engine {engine}: OpenVINO computes in {part.precision} where {wanted} was asked for. "
                    "Use --engine onnxruntime"
                )
            self._parts.append(part)

    def _infer(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        tensors: dict[str, Any] = {"window": window} | ({} if place is None else {"place": place})
        for part in self._parts:
            tensors |= part.run(tensors)
        out: FloatArray = tensors["pm25"].copy()
        return out


class _GraphPart:
    """A compiled piece of a network: named inputs to named outputs.

    Attributes:
        precision: that it actually computes in. It may differ from the one requested: without FP16, f16 gives bf16.
    """

    def __init__(self, core: Any, model: Any, precision: str, threads: int) -> None:
        wishes = {
            # Never left out: OpenVINO takes bf16 by itself where the processor has it (up to 1.2 ug/m3 off).
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Pinned threads of several sessions sit on the same first cores.
            "ENABLE_CPU_PINNING": False,
            "CPU_DENORMALS_OPTIMIZATION": False,
        }
        compiled = core.compile_model(model, "CPU", wishes)
        self.precision: str = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self._inputs = [port.get_any_name() for port in compiled.inputs]
        self._outputs = {port: port.get_any_name() for port in compiled.outputs}
        self._request = compiled.create_infer_request()

    def run(self, tensors: dict[str, Any]) -> dict[str, Any]:
        outputs = self._request.infer(
            {name: tensors[name] for name in self._inputs}, share_inputs=True, share_outputs=True
        )
        return {name: outputs[port] for port, name in self._outputs.items()}


def _parts(openvino: ModuleType, core: Any, whole: Any, precision: str) -> list[tuple[Any, str]]:
    """Cut a network into a body of half precision and a head of float32; leave it whole for float32.

    One scaled unit of the output is many ug/m3: what comes after the recurrent body stays float32.
    """
    name_output(whole)
    if precision == "f32":
        return [(whole, "f32")]
    del core
    opset = importlib.import_module("openvino.opset15")
    windows = {port.get_any_name(): port.get_node() for port in whole.inputs}
    cuts = [port for node in whole.get_ordered_ops() for port in node.outputs() if _is_cut(port)]
    if not cuts:
        raise BadModel("the unrolled graph names no body: run pm25map export --unroll on the model again")
    body = openvino.Model([opset.result(port) for port in cuts], [windows["window"]], "body").clone()
    params = []
    for i, port in enumerate(cuts):
        parameter = opset.parameter(port.get_partial_shape(), port.get_element_type(), name=f"cut{i}")
        parameter.output(0).get_tensor().set_names({f"cut{i}"})
        body.outputs[i].get_tensor().set_names({f"cut{i}"})
        for target in port.get_target_inputs():
            if target.get_node().get_type_name() != "Result":
                target.replace_source_output(parameter.output(0))
        params.append(parameter)
    head = openvino.Model(whole.get_results(), [*windows.values(), *params], "head")
    return [(body, precision), (head, "f32")]


def name_output(whole: Any) -> None:
    """Name the one output of a network "pm25", however OpenVINO named it."""
    whole.outputs[0].get_tensor().add_names({"pm25"})


def _is_cut(port: Any) -> bool:
    return any(_CUT.fullmatch(name) for name in port.get_names())


def why_not(engine: EngineName) -> str | None:
    """Return the reason why an OpenVINO engine cannot run here; None where it can."""
    try:
        openvino = _import_openvino()
    except BadInstall:
        return "openvino is not installed: pip install 'pm25map[intel]'"
    precision = PRECISIONS[engine]
    has = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if CAPABILITIES[precision] not in has:
        return f"this processor does not compute in {precision}"
    return None


def open_openvino(model: Model, engine: EngineName, threads: int) -> BatchedSession:
    """Open the unrolled graph of a model with OpenVINO.

    Raises:
        BadInstall: openvino is not installed.
        DeviceUnavailable: the processor does not compute in the engine's precision.
        BadModel: the model has no unrolled graph, or its file is damaged.
    """
    _import_openvino()
    reason = why_not(engine)
    if reason is not None:
        raise DeviceUnavailable(f"--engine {engine}: {reason}. Use --engine onnxruntime")
    return OpenVinoSession(model.card, engine, str(model.graph("unrolled")), threads)


def _import_openvino() -> ModuleType:
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise BadInstall("OpenVINO is not installed. Run: pip install 'pm25map[intel]'") from error

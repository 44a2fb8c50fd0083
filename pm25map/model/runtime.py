"""How a model is opened: `open_session`, and which engines this machine has."""

from typing import Literal, get_args

from pm25map.base.errors import DeviceUnavailable, UnknownName
from pm25map.base.onnx import import_onnxruntime
from pm25map.model.card import Model
from pm25map.model.engines import openvino
from pm25map.model.engines.devices import count_cuda_devices
from pm25map.model.engines.onnx import open_cuda, open_onnx
from pm25map.model.engines.session import EngineName, Session

__all__ = [
    "ENGINES",
    "Device",
    "EngineName",
    "Session",
    "count_cuda_devices",
    "open_session",
    "precision_of",
    "why_not",
]

Device = Literal["auto", "cpu", "cuda"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def open_session(
    model: Model,
    device: Device = "auto",
    threads: int = 1,
    engine: EngineName = "onnxruntime",
    device_id: int = 0,
) -> Session:
    """Open a model.

    Args:
        model: checked by load_model.
        device: "auto" lets the stock engine take a CUDA device where there is a usable one, and says so by
            `Session.engine` and `Session.provider`; "cuda" fails where there is none.
        threads: of the CPU for one call.
        engine: to run the network; "auto" is for callers to resolve (engines.calibrate).
        device_id: which CUDA device, numbered from 0.

    Raises:
        UnknownName: there is no such engine.
        BadInstall: the engine's package is missing, or onnxruntime is there twice.
        DeviceUnavailable: the engine cannot run here, or not on that device.
        BadModel: the file is no network or belongs to another card, or the engine's graph is missing.
    """
    if engine not in ENGINES:
        raise UnknownName(f"unknown engine {engine!r}: there are {', '.join(ENGINES)}")
    usable = count_cuda_devices() > 0 and "CUDAExecutionProvider" in (
        import_onnxruntime().get_available_providers()
    )
    if engine == "cuda" or (engine == "onnxruntime" and (device == "cuda" or (usable and device == "auto"))):
        if device == "cpu":
            raise DeviceUnavailable(
                "--engine cuda runs on no CPU: leave --device out, or name another engine"
            )
        return open_cuda(model, threads, device_id)
    if device == "cuda":
        raise DeviceUnavailable(f"--engine {engine} runs on the CPU alone. Use --engine cuda")
    if engine in openvino.PRECISIONS:
        return openvino.open_openvino(model, engine, threads)
    return open_onnx(model, engine, threads)


def precision_of(engine: str) -> str:
    """Return the precision of an engine; a session that would compute in another does not open."""
    body = next((half for name, half in openvino.PRECISIONS.items() if name == engine), "f32")
    return "f32" if body == "f32" else f"{body}, head f32"


def why_not(engine: EngineName) -> str | None:
    """Return the reason why an engine cannot run on this machine; None where it can."""
    if engine in openvino.PRECISIONS:
        return openvino.why_not(engine)
    if engine == "cuda":
        if count_cuda_devices() == 0:
            return "no CUDA device was found"
        if "CUDAExecutionProvider" not in import_onnxruntime().get_available_providers():
            return "this ONNX Runtime is for the CPU: install pm25map[gpu]"
    return None

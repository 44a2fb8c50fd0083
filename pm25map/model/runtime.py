"""The session that runs a model: ONNX Runtime on the CPU or a CUDA device, opened once a worker."""

import ctypes
import importlib
from typing import Any, Literal

from pm25map.base.errors import BadModel, DeviceUnavailable
from pm25map.base.onnx import import_onnxruntime
from pm25map.model.card import Model, ModelCard
from pm25map.model.engines.session import BatchedSession, EngineName, FloatArray, Session

Device = Literal["auto", "cpu", "cuda"]

__all__ = ["Device", "EngineName", "Session", "count_cuda_devices", "open_session"]


def count_cuda_devices() -> int:
    """Ask the driver how many CUDA devices there are: ONNX Runtime lists CUDA even where there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


class OnnxSession(BatchedSession):
    """A model that ONNX Runtime runs."""

    def __init__(self, card: ModelCard, inference: Any) -> None:
        super().__init__(card, "onnxruntime", inference.get_providers()[0])
        self._inference = inference

    def _infer(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        feeds = {"window": window} | ({} if place is None else {"place": place})
        out: FloatArray = self._inference.run(None, feeds)[0]
        return out


def open_session(
    model: Model, device: Device = "auto", threads: int = 1, engine: EngineName = "onnxruntime"
) -> Session:
    """Open a model.

    Args:
        model: checked by load_model.
        device: "auto" takes a CUDA device where there is a usable one, and says which it took by
            `Session.provider`; "cuda" fails where there is none.
        threads: of the CPU for one call.
        engine: that shall run the network.

    Raises:
        BadInstall: onnxruntime is missing, or there twice.
        DeviceUnavailable: CUDA was asked for and cannot be used.
        BadModel: the file is no ONNX network, or was made for another card.
    """
    if engine != "onnxruntime":
        raise BadModel(f"unknown engine {engine!r}: there is onnxruntime")
    runtime = import_onnxruntime()
    usable = count_cuda_devices() > 0 and "CUDAExecutionProvider" in runtime.get_available_providers()
    if device == "cuda" and not usable:
        reason = "no CUDA device was found" if count_cuda_devices() == 0 else "onnxruntime has no CUDA in it"
        raise DeviceUnavailable(
            f"--device cuda: {reason}. Use --device cpu, or install pm25map[gpu] beside an NVIDIA driver"
        )
    providers = ["CPUExecutionProvider"]
    if usable and device != "cpu":
        providers.insert(0, "CUDAExecutionProvider")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Idle threads that spin take the cores of the sessions beside this one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    damage = (
        errors.InvalidProtobuf,
        errors.InvalidGraph,
        errors.Fail,
        errors.NoSuchFile,
        errors.InvalidArgument,
    )
    try:
        inference = runtime.InferenceSession(str(model.network), options, providers=providers)
    except damage as error:
        reason = str(error).splitlines()[0][:160]
        raise BadModel(
            f"{model.network} is no readable network: {reason}. Export or fetch the model again"
        ) from error
    identity = inference.get_modelmeta().custom_metadata_map.get("card", "")
    if identity != model.card.identity():
        raise BadModel(f"{model.network} carries another card than {model.card.name}: export the model again")
    session = OnnxSession(model.card, inference)
    if device == "cuda" and session.provider != "CUDAExecutionProvider":
        raise DeviceUnavailable(
            f"--device cuda: ONNX Runtime fell back to {session.provider}. Run pm25map doctor, or use --device cpu"
        )
    return session

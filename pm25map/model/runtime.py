"""The session that runs a model: ONNX Runtime on the CPU or a CUDA device, opened once a worker."""

import ctypes
import importlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, DeviceUnavailable
from pm25map.base.onnx import import_onnxruntime
from pm25map.model.card import Model, ModelCard
from pm25map.model.twin import NEUTRAL_INPUT, twin_of

Device = Literal["auto", "cpu", "cuda"]

CELLS_A_CALL = 256
"""The LSTM op is fastest with 64 to 256 cells a call (docs/performance.md), and takes 100 MB there."""


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


class Session:
    """An open model. Sessions do not travel between processes: each worker opens its own.

    Attributes:
        card: of the model.
        provider: the execution provider that truly runs the network.
    """

    def __init__(self, card: ModelCard, inference: Any) -> None:
        self.card = card
        self._inference = inference
        self.provider: str = inference.get_providers()[0]

    def run(
        self, window: npt.NDArray[np.float32], place: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.float32]:
        """Estimate PM2.5 of any number of cells.

        Args:
            window: float32 (cell, day, input), as Scaler.apply gives it.
            place: float32 (cell, d), or None for a model without a place.

        Returns:
            float32 (cell,), ug m-3.

        Raises:
            BadModel: a shape is not the card's, or the network gives what is no number.
        """
        expected = (self.card.window_days, len(self.card.scaler.inputs))
        if window.shape[1:] != expected:
            raise BadModel(f"model {self.card.name} reads {expected} days and inputs, not {window.shape[1:]}")
        width = 0 if place is None else place.shape[1]
        if width != self.card.place.dimension:
            raise BadModel(
                f"model {self.card.name} takes {self.card.place.dimension} numbers a place, not {width}"
            )
        return self._run({"window": window} | ({} if place is None else {"place": place}))[0]

    def run_both(
        self,
        window: npt.NDArray[np.float32],
        place: npt.NDArray[np.float32],
        neutral: npt.NDArray[np.float32],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Estimate PM2.5 with the place of each cell and with a neutral one; for sessions opened as twins.

        Args:
            window, place: as `run`.
            neutral: float32 (cell, d), shaped as place.

        Returns:
            float32 (cell,), ug m-3, twice: what `run` gives for place, and for neutral.
        """
        out = self._run({"window": window, "place": place, NEUTRAL_INPUT: neutral})
        return out[0], out[1]

    def _run(self, feeds: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Run the network in parts of CELLS_A_CALL; float32 (output, cell)."""
        cells = len(feeds["window"])
        out = np.empty((len(self._inference.get_outputs()), cells), dtype=np.float32)
        for start in range(0, cells, CELLS_A_CALL):
            part = slice(start, start + CELLS_A_CALL)
            out[:, part] = self._inference.run(None, {name: values[part] for name, values in feeds.items()})
        if not np.isfinite(out).all():
            raise BadModel(
                f"model {self.card.name} gave {int((~np.isfinite(out)).sum())} values that are no numbers: "
                "its network is damaged. Export or fetch the model again"
            )
        return out


def open_session(model: Model, device: Device = "auto", threads: int = 1, *, twin: bool = False) -> Session:
    """Open a model.

    Args:
        model: checked by load_model.
        device: "auto" takes a CUDA device where there is a usable one, and says which it took by
            `Session.provider`; "cuda" fails where there is none.
        threads: of the CPU for one call.
        twin: estimate with a neutral place too, for `Session.run_both`.

    Raises:
        BadInstall: onnxruntime is missing, or there twice.
        DeviceUnavailable: CUDA was asked for and cannot be used.
        BadModel: the file is no ONNX network, or was made for another card.
    """
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
        network = twin_of(model.network) if twin else str(model.network)
        inference = runtime.InferenceSession(network, options, providers=providers)
    except damage as error:
        reason = str(error).splitlines()[0][:160]
        raise BadModel(
            f"{model.network} is no readable network: {reason}. Export or fetch the model again"
        ) from error
    identity = inference.get_modelmeta().custom_metadata_map.get("card", "")
    if identity != model.card.identity():
        raise BadModel(f"{model.network} carries another card than {model.card.name}: export the model again")
    session = Session(model.card, inference)
    if device == "cuda" and session.provider != "CUDAExecutionProvider":
        raise DeviceUnavailable(
            f"--device cuda: ONNX Runtime fell back to {session.provider}. Run pm25map doctor, or use --device cpu"
        )
    return session

"""ONNX Runtime: on the CPU with either graph of a network, and on a CUDA device with its buffers bound once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pm25map.base.errors import BadModel, DeviceUnavailable
from pm25map.base.onnx import CPU, import_onnxruntime, open_network
from pm25map.model.card import Model, ModelCard
from pm25map.model.engines.devices import count_cuda_devices, free_memory
from pm25map.model.engines.session import BatchedSession, EngineName, FloatArray

SMALLEST_BATCH, LARGEST_BATCH = 256, 16_384
"""Of a CUDA device. Powers of two between them: a little less free memory then mostly gives the same batch."""


class OnnxSession(BatchedSession):
    """A model that ONNX Runtime runs from the arrays it is given."""

    def __init__(self, card: ModelCard, engine: EngineName, inference: Any) -> None:
        super().__init__(card, engine, inference.get_providers()[0])
        self._inference = inference

    def _infer(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        feeds = {"window": window} | ({} if place is None else {"place": place})
        out: FloatArray = self._inference.run(None, feeds)[0]
        return out


class BoundSession(BatchedSession):
    """A model that ONNX Runtime runs from buffers on the device, laid out once and used by every call.

    A call is always of the same number of cells: matrix products of another shape take other kernels.
    """

    def __init__(
        self, card: ModelCard, engine: EngineName, inference: Any, kind: str, device_id: int, cells: int
    ) -> None:
        super().__init__(card, engine, inference.get_providers()[0])
        self.quantum = self.cells_a_call = cells
        values = import_onnxruntime().OrtValue
        shapes: dict[str, tuple[int, ...]] = {"window": (cells, card.window_days, len(card.scaler.inputs))}
        if card.place.dimension:
            shapes["place"] = (cells, card.place.dimension)
        output = inference.get_outputs()[0].name
        shapes[output] = (cells, len(card.members)) if card.members else (cells,)
        self._buffers = {
            name: values.ortvalue_from_shape_and_type(shape, np.float32, kind, device_id)
            for name, shape in shapes.items()
        }
        self._inference, self._output = inference, self._buffers[output]
        self._binding = inference.io_binding()
        for name, buffer in self._buffers.items():
            bind = self._binding.bind_ortvalue_output if name == output else self._binding.bind_ortvalue_input
            bind(name, buffer)

    def _infer(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        self._buffers["window"].update_inplace(window)
        if place is not None:
            self._buffers["place"].update_inplace(place)
        self._inference.run_with_iobinding(self._binding)
        # On the CPU the array is a view of the buffer, which the next call writes over.
        out: FloatArray = np.array(self._output.numpy())
        return out


def open_onnx(model: Model, engine: EngineName, threads: int) -> BatchedSession:
    """Open a model on the CPU: "onnxruntime" runs model.onnx, "onnxruntime-unrolled" its unrolled graph."""
    path = model.network if engine == "onnxruntime" else model.graph("unrolled")
    return OnnxSession(model.card, engine, _open(model, path, threads))


def open_cuda(model: Model, threads: int, device_id: int = 0) -> BatchedSession:
    """Open a model on a CUDA device, its batch sized from the device's free memory.

    Raises:
        DeviceUnavailable: there is no such device, or ONNX Runtime cannot use it.
    """
    count = count_cuda_devices()
    if count == 0 or "CUDAExecutionProvider" not in import_onnxruntime().get_available_providers():
        reason = "no CUDA device was found" if count == 0 else "onnxruntime has no CUDA in it"
        raise DeviceUnavailable(
            f"--device cuda: {reason}. Use --device cpu, or install pm25map[gpu] beside an NVIDIA driver"
        )
    if device_id >= count:
        raise DeviceUnavailable(f"CUDA device {device_id}: the driver has {count}, numbered from 0. Name one")
    cells = cells_that_fit(free_memory(device_id), model.card)
    # TF32 would cut the products to ten bits: up to 0.1 ug/m3. Memory is allocated as requested, not doubled.
    wishes = {"device_id": device_id, "use_tf32": 0, "arena_extend_strategy": "kSameAsRequested"}
    providers = [("CUDAExecutionProvider", wishes), "CPUExecutionProvider"]
    inference = _open(model, model.network, threads, providers)
    if inference.get_providers()[0] != "CUDAExecutionProvider":
        raise DeviceUnavailable(
            f"--device cuda: ONNX Runtime fell back to {inference.get_providers()[0]}. "
            "Run pm25map doctor, or use --device cpu"
        )
    return BoundSession(model.card, "cuda", inference, "cuda", device_id, cells)


def cells_that_fit(free_bytes: int, card: ModelCard) -> int:
    """Size the batch of a device: the largest power of two whose arrays fill at most half of the free memory.

    A cell needs its window, its place, and in every recurrent layer gates, states, inputs and outputs of all
    days in both directions: twelve numbers a unit, an upper bound of the memory that ONNX Runtime was measured to use.

    Raises:
        DeviceUnavailable: not even the smallest batch fits.
    """
    units = sum(2 * units * 12 for units in card.network.lstm) * max(1, len(card.members))
    numbers = card.window_days * (units + 2 * len(card.scaler.inputs)) + 2 * card.place.dimension
    fit = free_bytes // 2 // (4 * numbers)
    if fit < SMALLEST_BATCH:
        raise DeviceUnavailable(
            f"the device has {free_bytes / 1e6:.0f} MB free, model {card.name} needs "
            f"{SMALLEST_BATCH * numbers * 8 / 1e6:.0f} MB. Free some, or use --device cpu"
        )
    return min(LARGEST_BATCH, 1 << (int(fit).bit_length() - 1))


def _open(model: Model, path: Path, threads: int, providers: Sequence[Any] = CPU) -> Any:
    """Open a network's file, and compare the card inside of it."""

    def refuse(reason: str) -> BadModel:
        return BadModel(f"{path} is no readable network: {reason}. Export or fetch the model again")

    inference = open_network(path, threads, refuse, providers=providers)
    identity = inference.get_modelmeta().custom_metadata_map.get("card", "")
    if identity != model.card.identity():
        raise BadModel(f"{path} carries another card than {model.card.name}: export the model again")
    return inference

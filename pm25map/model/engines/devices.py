"""CUDA devices by their driver: how many there are, and how much of their memory is free."""

import ctypes

from pm25map.base.errors import DeviceUnavailable


def _driver() -> ctypes.CDLL | None:
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return cuda if cuda.cuInit(0) == 0 else None


def count_cuda_devices() -> int:
    """Return how many CUDA devices the driver has: ONNX Runtime lists CUDA even where there is none."""
    cuda = _driver()
    count = ctypes.c_int(0)
    if cuda is None or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def free_memory(device_id: int) -> int:
    """Return a device's free memory by its driver, bytes.

    Raises:
        DeviceUnavailable: the driver does not answer.
    """
    cuda = _driver()
    device, context = ctypes.c_int(0), ctypes.c_void_p()
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    # The primary context is the one that ONNX Runtime will use: to open it here costs no second one.
    if (
        cuda is None
        or cuda.cuDeviceGet(ctypes.byref(device), device_id) != 0
        or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) != 0
    ):
        raise DeviceUnavailable(
            f"CUDA device {device_id} does not answer. Run nvidia-smi, or use --device cpu"
        )
    cuda.cuCtxPushCurrent_v2(context)
    status = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
    cuda.cuDevicePrimaryCtxRelease_v2(device)
    if status != 0:
        raise DeviceUnavailable(f"CUDA device {device_id} does not tell its memory. Use --device cpu")
    return free.value

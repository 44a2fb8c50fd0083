"""A cache of decoded arrays with a limit on its bytes, and a count of what was read; threads share both."""

import threading
from collections import OrderedDict
from typing import Any

import numpy.typing as npt

from pm25map.grid import Block

Key = tuple[str, int, Block]
"""Variable, chunk of days (0 for a layer), block."""


class ArrayCache:
    """A cache of the arrays that were used last. Arrays in it are shared: read them, never write to them."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._arrays: OrderedDict[Key, npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> npt.NDArray[Any] | None:
        """Return an array, None where the cache does not hold it."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: Key, array: npt.NDArray[Any]) -> None:
        """Keep an array, and let go of the oldest ones above the limit."""
        array.setflags(write=False)
        with self._lock:
            # Two threads may have read the same: the second replaces the first.
            old = self._arrays.pop(key, None)
            self._held += array.nbytes - (0 if old is None else old.nbytes)
            self._arrays[key] = array
            while self._held > self._limit and self._arrays:
                _, dropped = self._arrays.popitem(last=False)
                self._held -= dropped.nbytes


class ReadCount:
    """Counts what is read of the daily variables of a store; threads may share it.

    Attributes:
        chunks: of a day range, a variable and a block, decoded so far.
        bytes: of their values as they are stored, decoded.
    """

    def __init__(self) -> None:
        self.chunks = 0
        self.bytes = 0
        self._lock = threading.Lock()

    def add(self, chunks: int, size: int) -> None:
        """Count some more."""
        with self._lock:
            self.chunks += chunks
            self.bytes += size

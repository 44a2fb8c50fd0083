"""What one client may ask: so many requests a second, and bodies of so many bytes."""

import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

BODY_BYTES = 256 * 1024
BURST = 400
"""Requests at once, before the rate counts: a browser that opens a page of tiles asks for many."""

_CLIENTS = 10_000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Limits:
    """Answers 429 to a client that asks too often, and 413 to a body that is too large."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        rate: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._rate = rate
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if not self._allows(client[0] if client else ""):
            answer = JSONResponse({"detail": "too many requests: wait a second"}, 429, {"Retry-After": "1"})
            await answer(scope, receive, send)
            return
        body = await self._body(receive)
        if body is None:
            words = f"the body is larger than {BODY_BYTES // 1024} KiB: simplify the polygon"
            await JSONResponse({"detail": words}, 413)(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)

    def _allows(self, client: str) -> bool:
        with self._lock:
            now = self._clock()
            if len(self._left) > _CLIENTS:
                self._left.clear()
            left, last = self._left.get(client, (float(BURST), now))
            left = min(float(BURST), left + (now - last) * self._rate)
            allowed = left >= 1
            self._left[client] = (left - 1 if allowed else left, now)
            return allowed

    async def _body(self, receive: Receive) -> bytes | None:
        """Read the body whole; None where it is too large."""
        parts, size = [], 0
        while True:
            message = await receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > BODY_BYTES:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already once more."""
    told = False

    async def once() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once

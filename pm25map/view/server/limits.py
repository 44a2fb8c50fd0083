"""What one client may ask: so many requests a second, bodies of so many bytes, and a part of the machine."""

import asyncio
import contextlib
import ipaddress
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

BODY_BYTES = 256 * 1024
BURST = 400
"""Requests at once, before the rate counts: a browser that opens a page of tiles asks for many."""

BODY_SECONDS = 10.0
"""A client must have sent its body within this time."""

AT_ONCE = 4
"""Questions that read maps at once: each takes some tens of MB and a core."""

WAIT_SECONDS = 20.0
"""A question waits so long for its turn, and is then told to come again."""

_CLIENTS = 10_000

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
"""Of every answer."""

_PAGE_POLICY = b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
"""The page states in itself what it may load; who may frame it only a header can say."""

_POLICY = b"default-src 'none'; frame-ancestors 'none'"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Slots:
    """Turns at reading maps, so that a crowd of large questions takes no more memory than a few."""

    def __init__(self, at_once: int = AT_ONCE, wait_s: float = WAIT_SECONDS) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._wait_s = wait_s

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and hold it within the block.

        Raises:
            HTTPException: 503, none came free in time.
        """
        if not self._free.acquire(timeout=self._wait_s):
            raise HTTPException(
                503, "too many questions at once: ask again in a few seconds", {"Retry-After": "5"}
            )
        try:
            yield
        finally:
            self._free.release()


class Limits:
    """Answers 429 to a client that asks too often, 413 to a body that is too large, and 408 to one too slow."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._rate = rate
        self._body_seconds = body_seconds
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if not self._allows(_network(client[0] if client else "")):
            answer = JSONResponse({"detail": "too many requests: wait a second"}, 429, {"Retry-After": "1"})
            await answer(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._body(receive), self._body_seconds)
        except TimeoutError:
            words = f"the body did not arrive within {self._body_seconds:g} s: send it again"
            await JSONResponse({"detail": words}, 408, {"Connection": "close"})(scope, receive, send)
            return
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


def _network(client: str) -> str:
    """Return who is counted as one: an IPv4 address, or the network of an IPv6 address, all of which one host has."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    return client if address.version == 4 else str(ipaddress.ip_network((int(address), 64), strict=False))


def _again(body: bytes, receive: Receive) -> Receive:
    """Return once more a body that was read already."""
    told = False

    async def once() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


class SafeHeaders:
    """Adds to every answer what keeps a browser from guessing its type, framing it or running what it holds."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
                policy = _PAGE_POLICY if kind.startswith(b"text/html") else _POLICY
                headers += [*HEADERS, (b"content-security-policy", policy)]
                if message["status"] >= 400:
                    # Else 404 and 410 may be kept: the map would stay away after the server has started again.
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)

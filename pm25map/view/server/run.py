"""Starts the server on a port that is known to be free, and ends connections that only hold it up."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Sequence

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from pm25map.base.errors import BadServer

_WAITING = 2_048
"""Connections that may wait: a burst of tiles is answered late and not refused."""

_CONNECTIONS = 500
"""Connections at once; one more is answered with 503."""

HEADER_SECONDS = 10.0
ANSWER_SECONDS = 120.0


class TimedProtocol(H11Protocol):
    """HTTP in which a request must have its headers in time, and be answered and taken in time.

    uvicorn itself has a limit only for connections that are silent between two requests.

    Attributes:
        header_seconds: from the first byte, or the connection, to the end of the headers.
        answer_seconds: from there to the last byte of the answer.
    """

    header_seconds = HEADER_SECONDS
    answer_seconds = ANSWER_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _timed: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._begin(self.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Pass on what came, and tell which of the times counts."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._timed is not cycle:
                self._timed = cycle
                self._begin(self.answer_seconds)
        elif self._timed is not None:
            self._timed = None
            self._begin(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _begin(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        idle = self._timed is not None and self.cycle is not None and self.cycle.response_complete
        # uvicorn ends an idle connection by itself, but not while the last answer waits to be taken.
        if not idle or self.transport.get_write_buffer_size():
            self.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises:
        BadServer: it is taken, not allowed, or the address is not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_WAITING)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadServer(
                f"port {port} of {host} is taken: stop what uses it, or choose another: --port {min(port + 1, 65535)}"
            ) from error
        why = error.strerror or str(error)
        raise BadServer(
            f"cannot listen on {host}, port {port} ({why}): choose an address of this machine and a port above 1023"
        ) from error
    return found


def check_proxies(proxies: Sequence[str]) -> None:
    """Refuse what is no address or network of a proxy.

    Raises:
        BadServer: a name, or everybody.
    """
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError as error:
            raise BadServer(
                f"--proxy {proxy} is no address and no network of addresses: give one, such as 10.0.0.5"
            ) from error
        if network.prefixlen == 0:
            raise BadServer(f"--proxy {proxy} would believe everybody: give the address of the proxy")


def settings(app: FastAPI, proxies: Sequence[str] = ()) -> uvicorn.Config:
    """Return how the server runs.

    Args:
        app: of `make_app`.
        proxies: addresses and networks of proxies, whose X-Forwarded-For says who asks. Of all others the address
            of the connection counts, whatever a header says.
    """
    return uvicorn.Config(
        app,
        http=TimedProtocol,
        log_level="warning",
        access_log=False,
        backlog=_WAITING,
        limit_concurrency=_CONNECTIONS,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
    )


def run(app: FastAPI, where: socket.socket, proxies: Sequence[str] = ()) -> None:
    """Answer requests until the program is stopped."""
    uvicorn.Server(settings(app, proxies)).run(sockets=[where])

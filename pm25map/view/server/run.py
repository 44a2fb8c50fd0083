"""Starts the server on a port that is known to be free."""

import errno
import socket

import uvicorn
from fastapi import FastAPI

from pm25map.base.errors import BadServer

_WAITING = 2_048
"""Connections that may wait: a burst of tiles is answered late and not refused."""


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


def run(app: FastAPI, where: socket.socket) -> None:
    """Answer requests until the program is stopped."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        backlog=_WAITING,
        server_header=False,
        # The address of a client is that of its connection, and not what a header of its own says.
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[where])

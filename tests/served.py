"""A real server of maps on loopback, for the tests that ask it over a socket."""

import contextlib
import threading
import time

import uvicorn

from pm25map.view.server.run import listen, settings


@contextlib.contextmanager
def served(app, proxies=()):
    """Serve an app in a thread that ends with the block; gives its address."""
    where = listen("127.0.0.1", 0)
    server = uvicorn.Server(settings(app, proxies))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [where]}, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{where.getsockname()[1]}/"
    server.should_exit = True
    thread.join(timeout=10)
    where.close()

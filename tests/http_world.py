"""A provider on this machine that misbehaves on demand: fails, cuts off, redirects, throttles, lies, changes."""

import hashlib
import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Served:
    """A file of the provider, and what goes wrong when it is asked for.

    faults: what to do on the next requests, one each, before the file is served as it should be.
    """

    body: bytes
    etag: str | None = ""
    faults: deque = field(default_factory=deque)

    def __post_init__(self):
        if self.etag == "":
            self.etag = f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


@dataclass
class Asked:
    """A request that came: method, path, headers."""

    method: str
    path: str
    headers: dict


@dataclass
class World:
    """The server, its files by path, and what it was asked."""

    url: str = ""
    files: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    before: object = None
    """Called with the path before a file is served."""

    def add(self, path, body, *faults, **changes):
        self.files[path] = Served(body, faults=deque(faults), **changes)
        return self.files[path]

    def gets(self, path):
        return [one for one in self.asked if one.path == path and one.method == "GET"]


# Faults: each takes the handler and the file, answers the request, and is used up.


def status(code, **headers):
    def answer(handler, served):
        handler.reply(code, b"not now", {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def redirect(url, code=302):
    return status(code, Location=url)


def cut_after(size):
    """Promise all of it, send some bytes, and drop the connection."""

    def answer(handler, served):
        handler.serve(served, most=size)

    return answer


def hangs_up(handler, served):
    """Drop the connection without a word."""
    handler.close_connection = True


def stalls(seconds):
    """Promise all of it, send half, and then nothing for a while."""

    def answer(handler, served):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(served.body)))
        handler.send_header("ETag", served.etag)
        handler.end_headers()
        handler.wfile.write(served.body[: len(served.body) // 2])
        time.sleep(seconds)
        handler.close_connection = True

    return answer


def changes_to(body, after):
    """Send the beginning of one version, drop the connection, and have another version from then on."""

    def answer(handler, served):
        handler.serve(served, most=after)
        served.__init__(body, faults=served.faults)

    return answer


def says_length(length):
    """Lie about the length of the body."""

    def answer(handler, served):
        handler.reply(200, served.body, {"Content-Length": str(length), "ETag": served.etag})

    return answer


def says_no_length(handler, served):
    handler.reply(200, served.body, {"Content-Length": None})


def ignores_if_range(handler, served):
    """Go on with the bytes of the newest version, whatever version the part is of."""
    first = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    total = len(served.body)
    span = {"Content-Range": f"bytes {first}-{total - 1}/{total}", "ETag": served.etag}
    handler.reply(206, served.body[first:], span)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self):
        path = urlsplit(self.path).path
        self.world.asked.append(Asked(self.command, path, dict(self.headers)))
        if self.world.before is not None:
            self.world.before(path)
        served = self.world.files.get(path)
        if callable(served):
            served(self)
        elif served is None:
            self.reply(404, b"no such file")
        elif served.faults and self.command == "GET":
            served.faults.popleft()(self, served)
        else:
            self.serve(served)

    do_HEAD = do_GET  # noqa: N815 - as http.server calls it

    def serve(self, served, most=None):
        """Serve a file, or what lacks of it, as a good server does."""
        headers, code, body = {}, 200, served.body
        if served.etag:
            headers["ETag"] = served.etag
            if self.headers.get("If-None-Match") == served.etag:
                return self.reply(304, b"", headers)
        span = self.headers.get("Range")
        if span and self.headers.get("If-Range") in (None, served.etag):
            first = int(span.removeprefix("bytes=").rstrip("-"))
            code, body = 206, served.body[first:]
            headers["Content-Range"] = f"bytes {first}-{len(served.body) - 1}/{len(served.body)}"
        headers["Content-Length"] = str(len(body))
        return self.reply(code, body if most is None else body[:most], headers, close=most is not None)

    def reply(self, code, body, headers=None, close=False):
        headers = {"Content-Length": str(len(body)), **(headers or {})}
        self.send_response(code)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        close = close or headers["Content-Length"] != str(len(body))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and code != 304:
            self.wfile.write(body)
        self.close_connection = self.close_connection or close

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    """Run a world on a free port of 127.0.0.1."""
    world = World()
    handler = type("Handler", (_Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()


def granule(url, size=None, checksum=None, kind="GET DATA"):
    """Describe a granule as NASA's catalogue does (UMM-G), as far as it is read."""
    name = url.rsplit("/", 1)[1]
    about = {"Name": name}
    if size is not None:
        about |= {"SizeInBytes": size, "Size": size / 1e6, "SizeUnit": "MB"}
    if checksum is not None:
        about["Checksum"] = {"Algorithm": "MD5", "Value": checksum}
    links = [
        {"URL": url, "Type": kind},
        {"URL": f"s3://protected/{name}", "Type": "GET DATA VIA DIRECT ACCESS"},
        {"URL": f"{url}.dmrpp", "Type": "EXTENDED METADATA"},
    ]
    umm = {"GranuleUR": name, "RelatedUrls": links}
    return {"meta": {}, "umm": {**umm, "DataGranule": {"ArchiveAndDistributionInformation": [about]}}}


def catalogue(granules):
    """Answer searches as NASA's catalogue does, whatever they ask for."""

    def answer(handler):
        body = json.dumps({"hits": len(granules), "items": granules}).encode()
        handler.reply(200, body, {"CMR-Hits": str(len(granules)), "Content-Type": "application/json"})

    return answer

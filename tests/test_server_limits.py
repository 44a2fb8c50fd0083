"""What holds up a server is ended: floods, slow and endless requests, answers that nobody takes, false senders."""

import datetime as dt
import socket
import time

import httpx
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from looked_at import write_map
from maps import address_grid, address_map
from served import served

from pm25map.base.errors import BadServer
from pm25map.cli.serve import command
from pm25map.view.server.app import make_app
from pm25map.view.server.catalogue import read_catalogue
from pm25map.view.server.limits import BODY_BYTES, BURST


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    grid = address_grid()
    write_map(folder / "pm25_2020-09-12.tif", grid, address_map(grid), dt.date(2020, 9, 12))
    return folder


def test_limits_hold(folder):
    now = [0.0]
    from pm25map.view.server import app as module
    from pm25map.view.server.limits import Limits

    bare = module.make_app(read_catalogue(folder), rate=1e6)
    client = TestClient(Limits(bare, rate=10, clock=lambda: now[0]), base_url="http://127.0.0.1")
    codes = [client.get("/openapi.json").status_code for _ in range(BURST + 5)]
    assert codes == [200] * BURST + [429] * 5
    now[0] = 1.0
    assert [client.get("/openapi.json").status_code for _ in range(11)] == [200] * 10 + [429]
    now[0] = 10.0
    answer = client.post("/maps/pm25_2020-09-12/statistics", content=b" " * (BODY_BYTES + 1))
    assert answer.status_code == 413


def test_questions_wait_for_their_turn_and_are_told_when_none_comes():
    from starlette.exceptions import HTTPException

    from pm25map.view.server.limits import Slots

    slots = Slots(at_once=1, wait_s=0.01)
    with slots.one(), pytest.raises(HTTPException) as refused, slots.one():
        raise AssertionError("there was no turn left")
    assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "5"})
    with slots.one():
        pass


def asked_by(address, *lines, seconds=5):
    """Send raw lines to a server, and read until it closes the connection."""
    host, port = address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return taken_from(connection)


def taken_from(connection):
    """All that comes until the server closes; a time-out where it does not."""
    taken = b""
    try:
        while part := connection.recv(1 << 20):
            taken += part
    except ConnectionResetError:
        pass
    return taken


def test_a_body_that_never_ends_is_closed(folder):
    from pm25map.view.server.limits import Limits

    app = Limits(make_app(read_catalogue(folder)), rate=100, body_seconds=0.2)
    with served(app) as address:
        head = ["POST /maps/pm25_2020-09-12/statistics HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 90"]
        answer = asked_by(address, *head, "", '{"geometry":')
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive" in answer


@pytest.mark.parametrize("lines", [[""], ["GET /maps HTTP/1.1", "Host: 127.0.0.1"]])
def test_headers_that_never_end_are_closed(folder, monkeypatch, lines):
    from pm25map.view.server.run import TimedProtocol

    monkeypatch.setattr(TimedProtocol, "header_seconds", 0.2)
    with served(make_app(read_catalogue(folder))) as address:
        assert asked_by(address, *lines) == b""
        assert httpx.get(f"{address}maps").status_code == 200, "others are answered all the while"


def test_headers_of_a_second_request_that_never_end_are_closed(folder, monkeypatch):
    from pm25map.view.server.run import TimedProtocol

    monkeypatch.setattr(TimedProtocol, "header_seconds", 0.2)
    with served(make_app(read_catalogue(folder))) as address:
        host, port = address.removeprefix("http://").strip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 404")
            connection.sendall(b"GET /nothing HTTP/1.1\r\n")
            taken_from(connection)


def test_an_answer_that_nobody_takes_is_dropped(monkeypatch):
    from starlette.responses import PlainTextResponse

    from pm25map.view.server.run import TimedProtocol

    monkeypatch.setattr(TimedProtocol, "answer_seconds", 0.3)
    with served(PlainTextResponse("x" * 50_000_000)) as address:
        host, port = address.removeprefix("http://").strip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            time.sleep(1)
            taken = taken_from(connection)
    assert len(taken) < 50_000_000


@pytest.mark.parametrize(
    ("proxies", "codes"),
    [((), [200] * 3 + [429]), (("192.0.2.1",), [200] * 3 + [429]), (("127.0.0.0/8",), [200] * 4)],
)
def test_who_asks_is_told_by_a_header_only_of_a_named_proxy(folder, monkeypatch, proxies, codes):
    from pm25map.view.server import limits

    monkeypatch.setattr(limits, "BURST", 3)
    with served(make_app(read_catalogue(folder), rate=1e-9), proxies) as address:
        found = [
            httpx.get(f"{address}maps", headers={"x-forwarded-for": f"198.51.100.{n}"}).status_code
            for n in range(4)
        ]
    assert found == codes


def test_one_host_of_ipv6_counts_once_whatever_address_it_takes():
    from pm25map.view.server.limits import _network

    assert _network("2001:db8::1") == _network("2001:db8::ffff:1") != _network("2001:db8:0:1::1")
    assert _network("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize(
    ("proxy", "words"), [("*", "no address"), ("proxy.example", "no address"), ("0.0.0.0/0", "everybody")]
)
def test_a_proxy_is_named_by_its_address(tmp_path, proxy, words):
    done = CliRunner().invoke(command, [str(tmp_path), "--port", "0", "--proxy", proxy])
    assert isinstance(done.exception, BadServer)
    assert words in str(done.exception)

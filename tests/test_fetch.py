"""Downloads from a provider that misbehaves: what comes is whole, what does not is told apart, nothing leaks."""

import datetime as dt
import errno
import hashlib
import io
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import http_world as net
import pytest
from urllib3.util.retry import Retry

from pm25map.base.errors import BadFetch, DiskFull, LoginFailed
from pm25map.predictors.catalogue import Provider
from pm25map.predictors.fetch import http
from pm25map.predictors.fetch.download import CHUNK_BYTES
from pm25map.predictors.fetch.fetch import FetchJob, fetch, is_there, sizes
from pm25map.predictors.fetch.http import HttpClient, Stopped, check_address
from pm25map.predictors.fetch.login import Login
from pm25map.predictors.fetch.providers import RemoteFile

TODAY = dt.date(2021, 6, 1)
DAY = dt.date(2020, 9, 12)
QUICK = Retry(total=4, backoff_factor=0, status_forcelist=http.RETRIES.status_forcelist)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def world():
    with net.serving() as held:
        yield held


def zipped(size=300_000, seed=0):
    """A zip file of noise, which no compression makes smaller."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        noise = b"".join(hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(size // 32))
        archive.writestr("values.csv", noise)
    return held.getvalue()


def provider(**changes):
    about = {"title": "a provider", "base": "https://there.example", "path": "/{day}.zip", "period": "day"}
    return Provider(
        **{
            **about,
            "check": "pm25map.predictors.sources.whole:check_zip",
            "most_mb": 2,
            "parallel": 2,
            **changes,
        }
    )


def bring(world, folder, *names, login=None, retries=QUICK, today=TODAY, last=DAY, checksum=None, **changes):
    files = [RemoteFile(name, f"{world.url}/{name}", last, checksum=checksum) for name in names]
    job = FetchJob(provider(**changes), folder, HttpClient(login or Login(), retries), today)
    return fetch(files, job)


def left_over(folder):
    return sorted(p.name for p in (folder / ".fetch").iterdir() if p.suffix not in (".lock", ".json"))


def test_a_file_comes_whole_and_is_kept_the_next_time(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body)
    first = bring(world, tmp_path, "a.zip")
    assert (first.new, first.bytes) == (["a.zip"], len(body))
    assert (tmp_path / "a.zip").read_bytes() == body
    note = json.loads((tmp_path / ".fetch/a.zip.json").read_text())
    assert note["sha256"] == hashlib.sha256(body).hexdigest()
    assert note["url"] == f"{world.url}/a.zip"
    assert bring(world, tmp_path, "a.zip").kept == ["a.zip"]
    assert len(world.asked) == 1
    assert left_over(tmp_path) == []


def test_every_request_says_who_asks_and_wants_no_compression(world, tmp_path):
    world.add("/a.zip", zipped())
    bring(world, tmp_path, "a.zip")
    (asked,) = world.asked
    assert asked.headers["User-Agent"].startswith("pm25map/")
    assert asked.headers["Accept-Encoding"] == "identity"


def test_a_server_that_fails_is_asked_again(world, tmp_path):
    world.add("/a.zip", zipped(), net.status(500), net.status(503), net.status(408))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert len(world.asked) == 4


def test_a_server_that_goes_on_failing_is_left_alone_in_the_end(world, tmp_path):
    world.add("/a.zip", zipped(), *[net.status(502)] * 20)
    world.add("/b.zip", zipped(seed=1))
    result = bring(world, tmp_path, "a.zip", "b.zip")
    assert result.new == ["b.zip"]
    assert "HTTP 502, 5 times" in result.failed["a.zip"]
    assert len(world.gets("/a.zip")) == 5


@pytest.mark.parametrize("code", [400, 403, 405, 451])
def test_what_another_attempt_would_not_mend_is_asked_once(world, tmp_path, code):
    world.add("/a.zip", b"", net.status(code))
    result = bring(world, tmp_path, "a.zip")
    assert f"HTTP {code}" in result.failed["a.zip"]
    assert len(world.asked) == 1


@pytest.mark.parametrize("code", [404, 410])
def test_an_absent_file_is_no_failure_and_is_written_down(world, tmp_path, code):
    world.add("/a.zip", b"", net.status(code))
    result = bring(world, tmp_path, "a.zip")
    assert result.absent == {"a.zip": f"HTTP {code} at {world.url}/a.zip"}
    assert result.failed == {}
    assert json.loads((tmp_path / ".fetch/a.zip.json").read_text())["absent"] == str(TODAY)


def test_an_absent_file_is_asked_for_again_by_the_next_run(world, tmp_path):
    assert list(bring(world, tmp_path, "a.zip").absent) == ["a.zip"]
    world.add("/a.zip", zipped())
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]


class Impatient(threading.Event):
    """Writes waits down and takes none."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def wait(self, timeout=None):
        self.taken.append(timeout)
        return False


def test_retry_after_is_honoured(world):
    world.add("/a.zip", zipped(), net.status(429, Retry_After="7"), net.status(503, Retry_After="11"))
    client = HttpClient(stop=Impatient())
    for _ in range(2):
        with client.request(f"{world.url}/a.zip") as response:
            client.wait(QUICK, http.Fault("busy", response), world.url)
    assert client.stop.taken == [7, 11]


def test_a_throttled_file_comes_after_the_pause(world, tmp_path):
    world.add("/a.zip", zipped(), net.status(429, Retry_After="1"))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert len(world.asked) == 2


def test_a_server_that_wants_a_day_of_rest_is_left_to_a_later_run(world, tmp_path):
    world.add("/a.zip", zipped(), net.status(429, Retry_After="86400"))
    result = bring(world, tmp_path, "a.zip")
    assert "asks to wait for" in result.failed["a.zip"]
    assert len(world.asked) == 1


def test_waits_grow_are_not_all_alike_and_end_at_a_minute():
    runs = []
    for _ in range(3):
        policy, client = http.RETRIES.new(total=9), HttpClient(stop=Impatient())
        for _ in range(8):
            policy = client.wait(policy, http.Fault("no answer"), "https://there.example/")
        runs.append(client.stop.taken)
    for waits in runs:
        assert waits[0] == 1
        assert waits[-1] == 60
        assert all(1.2 * earlier < later for earlier, later in itertools.pairwise(waits[1:6]))
    assert len({tuple(waits) for waits in runs}) == 3


def test_a_connection_that_drops_goes_on_where_it_was(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, net.cut_after(3 * CHUNK_BYTES), net.cut_after(CHUNK_BYTES + 5))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == body
    ranges = [one.headers.get("Range") for one in world.asked]
    assert ranges == [None, f"bytes={3 * CHUNK_BYTES}-", f"bytes={4 * CHUNK_BYTES}-"]
    assert world.asked[1].headers["If-Range"] == world.files["/a.zip"].etag


def test_a_server_that_hangs_up_at_once_is_asked_again(world, tmp_path):
    world.add("/a.zip", zipped(), net.hangs_up)
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]


def test_a_server_that_falls_silent_is_asked_for_the_rest(world, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "READ_SECONDS", 0.5)
    body = zipped()
    world.add("/a.zip", body, net.stalls(2))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == body
    assert "Range" in world.asked[-1].headers


def test_a_later_run_goes_on_where_an_earlier_one_stopped(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, net.cut_after(3 * CHUNK_BYTES), *[net.status(500)] * 9)
    assert "a.zip" in bring(world, tmp_path, "a.zip").failed
    assert left_over(tmp_path) == ["a.zip.partial"]
    world.files["/a.zip"].faults.clear()
    world.asked.clear()
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert [one.headers["Range"] for one in world.asked] == [f"bytes={3 * CHUNK_BYTES}-"]
    assert (tmp_path / "a.zip").read_bytes() == body


def test_a_file_that_changes_midway_is_begun_again(world, tmp_path):
    newer = zipped(seed=2)
    world.add("/a.zip", zipped(), net.changes_to(newer, after=3 * CHUNK_BYTES))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == newer


def test_a_server_that_does_not_look_at_if_range_never_mixes_two_versions(world, tmp_path):
    newer = zipped(seed=2)
    world.add("/a.zip", zipped(), net.changes_to(newer, after=3 * CHUNK_BYTES), net.ignores_if_range)
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == newer
    assert [one.headers.get("Range") for one in world.asked] == [None, f"bytes={3 * CHUNK_BYTES}-", None]


def test_a_part_of_another_run_is_dropped_when_the_etag_is_another(world, tmp_path):
    world.add("/a.zip", zipped(), net.cut_after(3 * CHUNK_BYTES), *[net.status(500)] * 9)
    bring(world, tmp_path, "a.zip")
    newer = zipped(seed=3)
    world.add("/a.zip", newer)
    bring(world, tmp_path, "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == newer


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_part_that_nothing_identifies_is_not_continued(world, tmp_path, etag):
    body = zipped()
    world.add("/a.zip", body, net.cut_after(3 * CHUNK_BYTES), etag=etag)
    bring(world, tmp_path, "a.zip")
    assert [one.headers.get("Range") for one in world.asked] == [None, None]
    assert (tmp_path / "a.zip").read_bytes() == body


def test_a_part_that_is_longer_than_the_file_is_dropped(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, net.cut_after(3 * CHUNK_BYTES), net.status(416))
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == body
    assert [one.headers.get("Range") for one in world.asked] == [None, f"bytes={3 * CHUNK_BYTES}-", None]


def test_a_server_that_promises_more_than_it_has_is_a_failure(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, *[net.says_length(len(body) + 10)] * 9)
    assert f"of {len(body) + 10} bytes, 5 times" in bring(world, tmp_path, "a.zip").failed["a.zip"]
    assert not (tmp_path / "a.zip").exists()


def test_a_server_that_promises_less_than_it_has_gives_no_file_that_counts(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, *[net.says_length(1000)] * 9)
    result = bring(world, tmp_path, "a.zip")
    assert "a.zip is no whole zip file" in result.failed["a.zip"]
    assert not (tmp_path / "a.zip").exists()
    assert left_over(tmp_path) == []


def test_a_file_of_unknown_length_is_good_if_its_reader_says_so(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body, net.says_no_length)
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    world.add("/b.zip", body[:-100], net.says_no_length)
    assert "no whole zip" in bring(world, tmp_path, "b.zip").failed["b.zip"]


def test_a_page_of_html_in_place_of_a_file_is_refused(world, tmp_path):
    world.add("/a.zip", b"<html>We are sorry</html>")
    assert "no whole zip file" in bring(world, tmp_path, "a.zip").failed["a.zip"]


@pytest.mark.parametrize("fault", [(), (net.says_no_length,)], ids=["stated", "found on the way"])
def test_a_file_that_is_too_large_is_refused(world, tmp_path, fault):
    world.add("/a.zip", zipped(1_200_000), *fault)
    result = bring(world, tmp_path, "a.zip", most_mb=1)
    assert "more than the 1 MB that it may be" in result.failed["a.zip"]
    assert not (tmp_path / "a.zip").exists()


def test_what_was_compressed_on_the_way_is_refused(world, tmp_path):
    world.add("/a.zip", b"", net.status(200, Content_Encoding="gzip"))
    assert "comes compressed (gzip)" in bring(world, tmp_path, "a.zip").failed["a.zip"]


def test_a_stated_checksum_is_compared(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body)
    good = hashlib.md5(body, usedforsecurity=False).hexdigest()
    wrong = bring(world, tmp_path, "a.zip", checksum=f"md5:{'0' * 32}")
    assert "has not the checksum that the catalogue states" in wrong.failed["a.zip"]
    assert not (tmp_path / "a.zip").exists()
    assert bring(world, tmp_path, "a.zip", checksum=f"md5:{good}").new == ["a.zip"]


def test_a_young_file_is_asked_for_again_and_sent_only_if_it_changed(world, tmp_path):
    world.add("/2021.zip", zipped())
    young = {"last": dt.date(2021, 12, 31), "settles": 60}
    bring(world, tmp_path, "2021.zip", **young)
    assert bring(world, tmp_path, "2021.zip", **young).kept == ["2021.zip"]
    assert world.asked[1].headers["If-None-Match"] == world.files["/2021.zip"].etag
    newer = zipped(seed=5)
    world.add("/2021.zip", newer)
    later = dt.date(2022, 4, 1)
    assert bring(world, tmp_path, "2021.zip", today=later, **young).new == ["2021.zip"]
    assert (tmp_path / "2021.zip").read_bytes() == newer
    count = len(world.asked)
    bring(world, tmp_path, "2021.zip", today=later, **young)
    assert len(world.asked) == count


def test_a_young_file_stays_when_the_provider_fails(world, tmp_path):
    body = zipped()
    world.add("/2021.zip", body)
    bring(world, tmp_path, "2021.zip", last=dt.date(2021, 12, 31))
    world.files["/2021.zip"].faults.extend([net.status(500)] * 9)
    assert "2021.zip" in bring(world, tmp_path, "2021.zip", last=dt.date(2021, 12, 31)).failed
    assert (tmp_path / "2021.zip").read_bytes() == body


def test_a_file_that_lost_its_end_on_the_disk_comes_again(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body)
    bring(world, tmp_path, "a.zip")
    os.truncate(tmp_path / "a.zip", 1000)
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == body


def test_a_file_put_there_by_hand_is_kept_if_its_reader_takes_it(world, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped())
    assert bring(world, tmp_path, "a.zip").kept == ["a.zip"]
    assert world.asked == []


def test_readers_do_not_see_what_is_under_way(world, tmp_path):
    from pm25map.predictors.sources.files import find_files

    world.add("/a.zip", zipped(), net.cut_after(3 * CHUNK_BYTES), *[net.status(500)] * 9)
    bring(world, tmp_path, "a.zip")
    assert find_files(tmp_path, r".*") == {}


def test_sizes_are_asked_for_without_fetching(world, tmp_path):
    body = zipped()
    world.add("/a.zip", body)
    files = [RemoteFile(name, f"{world.url}/{name}", DAY) for name in ("a.zip", "none.zip")]
    job = FetchJob(provider(), tmp_path, HttpClient(retries=QUICK), TODAY)
    assert [size for _, size in sizes(files, job)] == [len(body), None]
    assert {one.method for one in world.asked} == {"HEAD"}
    assert not is_there(files[0], job)


# Where credentials go


SECRET = "eyJ0eXAiOiJKV1Qi.c2VjcmV0.token"  # noqa: S105 - invented


@pytest.fixture
def other():
    with net.serving() as held:
        yield held


def test_a_redirect_to_another_host_carries_no_credential(world, other, tmp_path):
    body = zipped()
    other.add("/signed", body)
    world.add("/a.zip", b"", net.redirect(f"{other.url}/signed?Signature=abc"))
    login = Login(SECRET, mirror=world.url, where="EARTHDATA_TOKEN")
    assert bring(world, tmp_path, "a.zip", login=login).new == ["a.zip"]
    assert world.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert "Authorization" not in other.asked[0].headers
    assert "Signature" not in (tmp_path / ".fetch/a.zip.json").read_text()


def test_a_redirect_on_the_same_host_keeps_the_credential(world, tmp_path):
    world.add("/b.zip", zipped())
    world.add("/a.zip", b"", net.redirect("/b.zip", 307))
    bring(world, tmp_path, "a.zip", login=Login(SECRET, mirror=world.url, where="EARTHDATA_TOKEN"))
    assert world.asked[1].headers["Authorization"] == f"Bearer {SECRET}"


def test_a_server_on_the_way_cannot_name_the_file(world, other, tmp_path):
    other.add(
        "/../../evil", zipped(), net.status(200, Content_Disposition='attachment; filename="../../evil.zip"')
    )
    world.add("/a.zip", b"", net.redirect(f"{other.url}/../../evil"))
    bring(world, tmp_path / "in", "a.zip")
    assert {p.name for p in tmp_path.iterdir()} == {"in"}


def test_netrc_of_another_host_is_not_read(world, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password open-sesame\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    world.add("/a.zip", zipped())
    bring(world, tmp_path / "in", "a.zip")
    assert "Authorization" not in world.asked[0].headers


HOSTS = {
    "https://data.lpdaac.earthdatacloud.nasa.gov/a.hdf": f"Bearer {SECRET}",
    "https://data.ornldaac.earthdata.nasa.gov/a.nc": f"Bearer {SECRET}",
    "https://urs.earthdata.nasa.gov/oauth": "Basic bWU6b3BlbiBzZXNhbWU=",
    "http://data.ornldaac.earthdata.nasa.gov/a.nc": None,
    "https://earthdata.nasa.gov.evil.example/a.nc": None,
    "https://evilearthdata.nasa.gov/a.nc": None,
    "https://d1nklfio7vscoe.cloudfront.net/a.hdf": None,
    "http://127.0.0.1:81/a.hdf": None,
    "http://127.0.0.1:80/a.hdf": f"Bearer {SECRET}",
}


@pytest.mark.parametrize("url", HOSTS)
def test_a_credential_goes_to_its_own_hosts_alone(url):
    login = Login(SECRET, "me", "open sesame", mirror="http://127.0.0.1:80")
    assert login.header(url) == HOSTS[url]


def test_no_text_of_a_login_shows_its_secrets():
    login = Login(SECRET, "me", "open sesame", where="EARTHDATA_TOKEN")
    text = f"GET https://me:open%20sesame@h/x?token={SECRET} Authorization: Bearer {SECRET}"
    text += ", Basic bWU6b3Blbg== open sesame"
    for shown in (repr(login), str(login), login.mask(text)):
        assert SECRET not in shown
        assert "open sesame" not in shown
        assert "bWU6b3Blbg" not in shown


def test_a_refused_login_ends_the_fetch_with_one_line_and_no_secret(world, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    for name in "abcdef":
        world.add(f"/{name}.zip", b"", *[net.status(401)] * 9)
    login = Login(SECRET, mirror=world.url, where="EARTHDATA_TOKEN")
    with pytest.raises(LoginFailed, match="refuses the login of EARTHDATA_TOKEN") as refused:
        bring(world, tmp_path, *(f"{name}.zip" for name in "abcdef"), login=login, parallel=1)
    assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text
    # One file after another: the first refusal keeps the others from being asked for.
    assert len(world.asked) <= 2


@pytest.mark.parametrize(
    "url",
    [
        "http://there.example/a",
        "ftp://there.example/a",
        "https://me:pw@there.example/a",
        "file:///etc/passwd",
        "there",
    ],
)
def test_an_address_that_is_not_https_is_refused(url):
    with pytest.raises(BadFetch) as refused:
        check_address(url)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("https://there.example/a", "http://there.example/a", "not https"),
        ("https://there.example/a", "http://127.0.0.1/a", "this machine itself"),
        ("https://there.example/a", "https://localhost/a", "this machine itself"),
        ("https://127.0.0.1/a", "http://127.0.0.1/a", "from https to http"),
    ],
)
def test_a_redirect_down_or_inward_is_refused(source, target, why):
    with pytest.raises(BadFetch, match=why):
        http._check_step(source, target)


def test_redirects_in_a_circle_end(world, tmp_path):
    world.add("/a.zip", b"", *[net.redirect("/a.zip")] * 99)
    assert "leads in a circle" in bring(world, tmp_path, "a.zip").failed["a.zip"]


def test_nobody_there_is_said_in_one_line(tmp_path):
    with net.serving() as world:
        pass
    result = bring(world, tmp_path, "a.zip")
    assert "127.0.0.1 does not answer" in result.failed["a.zip"]


# The disk, two processes, an end midway


def test_a_full_disk_is_said_before_anything_is_fetched(world, tmp_path, monkeypatch):
    world.add("/a.zip", zipped())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DiskFull, match="the disk has less"):
        bring(world, tmp_path, "a.zip")


def test_a_disk_that_fills_midway_ends_the_fetch_and_the_same_command_goes_on(world, tmp_path, monkeypatch):
    body = zipped(1_200_000)
    world.add("/a.zip", body)
    whole_open = Path.open

    def full(self, mode="r", *rest, **more):
        handle = whole_open(self, mode, *rest, **more)
        if self.name == "part" and mode in ("ab", "wb"):
            write = handle.write

            def filling(chunk):
                if handle.tell() > 500_000:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(chunk)

            return type(
                "Full",
                (),
                {
                    "__enter__": lambda s: s,
                    "__exit__": lambda s, *e: handle.close(),
                    "write": staticmethod(filling),
                },
            )()
        return handle

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(DiskFull, match="the disk is full"):
            bring(world, tmp_path, "a.zip")
    assert not (tmp_path / "a.zip").exists()
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert world.asked[-1].headers["Range"] == f"bytes={16 * CHUNK_BYTES}-"
    assert (tmp_path / "a.zip").read_bytes() == body


def test_two_processes_fetch_a_file_once(world, tmp_path):
    body = zipped()
    gate = threading.Event()
    world.add("/a.zip", body)
    world.before = lambda path: gate.wait(20)
    script = textwrap.dedent(
        f"""
        import datetime as dt, pathlib
        from pm25map.predictors.fetch.fetch import FetchJob, fetch
        from pm25map.predictors.fetch.http import HttpClient
        from pm25map.predictors.catalogue import Provider
        from pm25map.predictors.fetch.providers import RemoteFile
        where = {{"base": "https://there.example", "path": "/", "title": "p"}}
        where["check"] = "pm25map.predictors.sources.whole:check_zip"
        provider = Provider(**where, period="day", most_mb=2, parallel=1)
        job = FetchJob(provider, pathlib.Path({str(tmp_path)!r}), HttpClient(), dt.date(2021, 6, 1))
        print("ready", flush=True)
        result = fetch([RemoteFile("a.zip", "{world.url}/a.zip", dt.date(2020, 9, 12))], job)
        print(result.new, result.kept)
        """
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    gate.set()
    said = sorted(run.communicate(timeout=60)[0].strip() for run in runs)
    assert said == ["['a.zip'] []", "[] ['a.zip']"]
    assert len(world.gets("/a.zip")) == 1
    assert (tmp_path / "a.zip").read_bytes() == body


def test_an_end_midway_leaves_a_part_that_the_next_run_continues(world, tmp_path):
    body = zipped(1_200_000)
    world.add("/a.zip", body)
    client = HttpClient(retries=QUICK)

    class Ends:
        def bytes_of(self, name, done, total):
            if done > 500_000:
                client.stop.set()

        def ended(self, name):
            pass

    files = [RemoteFile("a.zip", f"{world.url}/a.zip", DAY)]
    with pytest.raises(Stopped):
        fetch(files, FetchJob(provider(), tmp_path, client, TODAY, Ends()))
    assert not (tmp_path / "a.zip").exists()
    assert bring(world, tmp_path, "a.zip").new == ["a.zip"]
    assert int(world.asked[-1].headers["Range"].strip("bytes=-")) > 500_000
    assert (tmp_path / "a.zip").read_bytes() == body


def test_no_more_requests_at_once_than_the_table_allows(world, tmp_path):
    running, most = [0], [0]
    lock = threading.Lock()
    gate = threading.Barrier(2)

    def before(path):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(10)
        with lock:
            running[0] -= 1

    names = [f"{i}.zip" for i in range(6)]
    for name in names:
        world.add(f"/{name}", zipped(1000))
    world.before = before
    assert len(bring(world, tmp_path, *names, parallel=2).new) == 6
    assert most[0] == 2

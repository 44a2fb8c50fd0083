"""Object stores that fail: a missing bucket, a server that is silent, an address with a password. One line each."""

import json
import socket
import threading

import pytest
from click.testing import CliRunner
from predictor_world import address_store

pytest.importorskip("obstore")

from pm25map.base import object_store
from pm25map.base.errors import BadOutput, Pm25mapError, StoreUnreachable
from pm25map.base.storage import Remote, location, open_folder
from pm25map.cli.main import cli

SECRET = "the-secret-of-this-test"  # noqa: S105 - of no server


@pytest.fixture
def credentials(monkeypatch):
    named = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    for name, value in {**named, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(object_store._LIMITS, "read_timeout", "200ms")
    monkeypatch.setattr(object_store, "_RETRY_SECONDS", 0)


@pytest.fixture
def silent(credentials, monkeypatch):
    """A server that takes connections and never answers."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    held.append(server.accept())
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        monkeypatch.setenv(
            "AWS_ENDPOINT_URL", f"http://{SECRET}:{SECRET}@127.0.0.1:{server.getsockname()[1]}"
        )
        yield
    for connection, _ in held:
        connection.close()


@pytest.fixture
def server(credentials, monkeypatch):
    """A real object store with one bucket."""
    running = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    running.start()
    address = "http://{}:{}".format(*running.get_host_and_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setitem(object_store._LIMITS, "read_timeout", "30s")
    import boto3

    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="bucket")
    yield
    running.stop()


USES = {
    "backfill": ["backfill", "--start", "2020-09-12", "--end", "2020-09-13", "--out", "s3://nowhere/maps"],
    "verify": ["verify", "s3://nowhere/maps"],
    "predict": ["predict", "--date", "2020-09-12", "--predictors", "s3://nowhere/p.zarr", "--out", "a.tif"],
    "status": ["data", "status", "--store", "s3://nowhere/p.zarr"],
    "data verify": ["data", "verify", "--store", "s3://nowhere/p.zarr"],
}


@pytest.mark.parametrize("use", USES)
def test_a_bucket_that_is_not_there_is_one_line_and_nothing_is_written(server, tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, USES[use])
    assert isinstance(done.exception, StoreUnreachable), (done.output, done.exception)
    assert "s3://nowhere/" in str(done.exception)
    assert "there is no such bucket" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("use", USES)
def test_a_server_that_never_answers_is_one_line_without_a_credential(silent, tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, USES[use])
    assert isinstance(done.exception, StoreUnreachable), (done.output, done.exception)
    assert "does not answer" in str(done.exception)
    assert SECRET not in str(done.exception) + done.output
    assert list(tmp_path.iterdir()) == []


def test_every_wait_for_a_server_ends_within_a_minute():
    waits = [float(limit.removesuffix("s")) for limit in object_store._LIMITS.values()]
    # What fails in the middle of a backfill is heard of once more, when its lock is to be removed.
    assert 2 * (max(waits) + object_store._RETRY_SECONDS) < 60


def test_the_variables_of_the_provider_say_how_to_connect(monkeypatch):
    monkeypatch.setenv("AWS_READ_TIMEOUT", "90s")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    options = object_store.connection("s3://bucket/maps")["client_options"]
    assert options["read_timeout"] == "90s"
    assert options["allow_http"] == "true"
    assert "allow_http" not in object_store.connection("gs://bucket/maps")["client_options"]


def test_refused_credentials_are_told_by_the_servers_code_alone():
    error = ValueError(
        f"Error performing GET http://{SECRET}@host/x - Server returned non-2xx status code: 403 Forbidden: "
        f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{SECRET}</AWSAccessKeyId></Error>"
    )
    said = str(object_store.unreachable("s3://bucket/maps", error))
    assert "403 Forbidden (InvalidAccessKeyId)" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "address", [f"s3://me:{SECRET}@bucket/maps", f"https://host/a?X-Amz-Signature={SECRET}"]
)
def test_an_address_that_holds_a_password_is_refused_without_repeating_it(address):
    with pytest.raises(BadOutput, match="no password") as refused:
        location(address)
    assert SECRET not in str(refused.value)
    assert location("s3://bucket/maps") == Remote("s3://bucket/maps")


@pytest.mark.parametrize(
    "words",
    [
        ["info", "s3://bucket/map.tif"],
        ["view", "s3://bucket/map.tif", "--out", "a.html"],
        ["predict", "--date", "2020-09-12", "--out", "s3://bucket/a.tif"],
        ["data", "ingest", "--start", "2020-09-12", "--end", "2020-09-12", "--store", "s3://bucket/p.zarr"],
    ],
)
def test_an_address_where_a_path_is_wanted_is_one_line(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, BadOutput)
    assert "takes a path on this machine" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--predictors", "--region", "--grid", "--model"])
def test_an_option_left_empty_by_a_shell_is_one_line_and_never_everything(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    words = ["plan", "--start", "2020-09-12", "--end", "2020-09-12", "--calibrate", "0", option, ""]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, Pm25mapError), done.output
    assert done.output == ""


def test_a_store_in_a_bucket_says_its_days_and_is_verified(server, tmp_path):
    there = open_folder(location("s3://bucket/p.zarr"))
    store = address_store(tmp_path / "p.zarr")
    for path in sorted(store.rglob("*")):
        if path.is_file():
            there.write(path.relative_to(store).as_posix(), path.read_bytes())
    here = CliRunner().invoke(cli, ["data", "status", "--store", str(store), "--json"])
    remote = CliRunner().invoke(cli, ["data", "status", "--store", "s3://bucket/p.zarr", "--json"])
    assert remote.exit_code == here.exit_code, remote.exception
    told, known = json.loads(remote.output), json.loads(here.output)
    assert told.pop("store") != known.pop("store")
    assert told == known
    checked = CliRunner().invoke(cli, ["data", "verify", "--store", "s3://bucket/p.zarr"])
    assert checked.exit_code == 0, (checked.output, checked.exception)


def test_a_server_that_falls_silent_stops_a_folder_at_once(silent):
    folder = open_folder(location("s3://bucket/maps"))
    for use in (
        lambda: folder.read("a"),
        lambda: folder.write("a", b""),
        lambda: folder.create("a", b""),
        lambda: list(folder.names("")),
        lambda: folder.remove("a"),
    ):
        with pytest.raises(StoreUnreachable, match="does not answer"):
            use()

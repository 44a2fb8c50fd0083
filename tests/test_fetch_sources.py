"""`pm25map data fetch`: every provider's addresses, NASA's catalogue and login, and the command as a user meets it."""

import datetime as dt
import hashlib
import io
import json
import re
import sys
import zipfile

import http_world as net
import netCDF4
import numpy as np
import provider_files
import pytest
import requests
import shapely
from click.testing import CliRunner
from predictor_world import small_grid
from urllib3.util.retry import Retry

from pm25map.base.errors import BadFetch, BadInstall, BadPredictors, LoginFailed, UnknownName
from pm25map.cli.main import cli
from pm25map.grid.store import save_grid
from pm25map.predictors.catalogue import fetched_sources, file_sources, load, provider_of, sources
from pm25map.predictors.fetch import http
from pm25map.predictors.fetch.earthdata import choose, search
from pm25map.predictors.fetch.http import HttpClient
from pm25map.predictors.fetch.login import earthdata_login
from pm25map.predictors.fetch.providers import (
    gmted_tiles,
    periods_of,
    plain_files,
    variables_wanted,
)

CONUS = (-124.8, 24.4, -66.9, 49.5)
START, END = dt.date(2020, 8, 30), dt.date(2020, 9, 2)
TOKEN = "eyJ0eXAi.invented.token"  # noqa: S105


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No proxy, no credentials of whoever runs the tests, and no long waits."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"EARTHDATA_{name}", raising=False)
    quick = Retry(total=2, backoff_factor=0, status_forcelist=http.RETRIES.status_forcelist)
    monkeypatch.setattr(http, "RETRIES", quick)


@pytest.fixture
def world():
    with net.serving() as held:
        yield held


def plain(source, start=START, end=END, **changes):
    provider = provider_of(source)
    periods = [] if provider.period == "static" else periods_of(provider, start, end)
    names = variables_wanted(provider, changes.pop("variables", ()))
    return plain_files(provider, periods, names, CONUS, changes.pop("base", provider.base))


ADDRESSES = {
    "gridmet": "https://www.northwestknowledge.net/metdata/data/th_2020.nc",
    "hms": "https://satepsanone.nesdis.noaa.gov/pub/FIRE/web/HMS/Smoke_Polygons/Shapefile/2020/08/"
    "hms_smoke20200830.zip",
    "nclimgrid": "https://www.ncei.noaa.gov/data/nclimgrid-daily/access/grids/2020/ncdd-202008-grd-scaled.nc",
    "ncep": "https://downloads.psl.noaa.gov/Datasets/ncep.reanalysis2/Dailies/gaussian_grid/air.2m.gauss.2020.nc",
    "gmted": "https://edcintl.cr.usgs.gov/downloads/sciweb1/shared/topo/downloads/GMTED/Global_tiles_GMTED/"
    "300darcsec/mea/W150/10N150W_20101117_gmted_mea300.tif",
    "aqs": "https://aqs.epa.gov/aqsweb/airdata/daily_88101_2020.zip",
    # The day begins at 05 UTC on the east coast.
    "airnow": "https://files.airnowtech.org/airnow/2020/20200830/HourlyData_2020083005.dat",
}


@pytest.mark.parametrize("source", ADDRESSES)
def test_a_plain_address_is_the_provider_s(source):
    assert plain(source)[0].url == ADDRESSES[source]


NAMES = {
    "maiac": "MCD19A2.A2020256.h08v05.061.2023149072031.hdf",
    "ndvi": "MCD43A4.A2020257.h08v05.061.2020266044127.hdf",
    "daymet": "daymet_v4_daily_na_tmax_2020.nc",
    "merra2": "MERRA2_401.tavg1_2d_aer_Nx.20200912.nc4",
}


@pytest.mark.parametrize("source", sorted(set(fetched_sources()) - {"aqs", "airnow"}))
def test_a_source_s_reader_finds_what_is_fetched_for_it(source, tmp_path):
    """The name that a file gets is one that the source's own reader looks for."""
    from pm25map.predictors.sources import daymet, gmted, gridmet, hms, merra2, modis, ncep, nclimgrid
    from pm25map.predictors.sources.files import find_files

    name = NAMES.get(source) or plain(source)[0].name
    (tmp_path / name).write_bytes(b"")
    patterns = {
        "maiac": "MCD19A2" + modis._GRANULE,
        "ndvi": "MCD43A4" + modis._GRANULE,
        "daymet": daymet.FILE.format(name="tmax"),
        "merra2": merra2.FILE,
        "gmted": gmted.FILES,
        "hms": hms.FILES,
    }
    tables = {"gridmet": gridmet.gridmet, "ncep": ncep.ncep, "nclimgrid": nclimgrid.nclimgrid}
    if source in tables:
        assert tables[source](tmp_path).entries
    else:
        assert find_files(tmp_path, patterns[source])


def test_every_source_that_reads_files_can_be_fetched_and_every_check_exists():
    assert set(fetched_sources()) == {*file_sources(), "aqs", "airnow"}
    for name, entry in sources().items():
        assert entry.title and entry.licence
        assert callable(load(entry.reader)) if entry.reader else name not in file_sources()
        assert entry.fetch is None or callable(load(entry.fetch.check))


def test_files_of_days_months_and_years_cover_the_days_once():
    assert [file.name for file in plain("hms")] == [
        f"hms_smoke2020{day}.zip" for day in ("0830", "0831", "0901", "0902")
    ]
    assert [file.last for file in plain("nclimgrid")] == [dt.date(2020, 8, 31), dt.date(2020, 9, 30)]
    winter = plain("gridmet", dt.date(2019, 12, 20), dt.date(2020, 1, 5))
    assert [file.name for file in winter] == ["th_2019.nc", "vs_2019.nc", "th_2020.nc", "vs_2020.nc"]


def test_composites_are_those_that_a_reader_carries_forward():
    days = periods_of(provider_of("ndvi"), dt.date(2021, 1, 10), dt.date(2021, 1, 20))
    assert days == [dt.date(2020, 12, 2), dt.date(2020, 12, 18), dt.date(2021, 1, 1), dt.date(2021, 1, 17)]


def test_elevation_tiles_cover_conus_by_their_south_west_corners():
    corners = {tile.corner for tile in gmted_tiles(CONUS)}
    assert corners == {f"{lat}N{lon}W" for lat in (10, 30) for lon in ("150", "120", "090")}
    assert {tile.corner for tile in gmted_tiles((-71, -33, 1, -31))} == {
        "50S090W",
        "50S060W",
        "50S030W",
        "50S000E",
    }


def test_days_before_a_provider_begins_are_refused():
    with pytest.raises(BadFetch, match="begins on 2005-08-05"):
        plain("hms", dt.date(2004, 1, 1), dt.date(2004, 1, 2))


def test_days_before_a_provider_begins_are_listed_as_absent(world, tmp_path):
    days_of(world, tmp_path, dt.date(2005, 8, 5))
    words = [
        "--start",
        "2005-08-01",
        "--end",
        "2005-08-05",
        "--base-url",
        world.url,
        "--out",
        tmp_path / "hms",
    ]
    result = run("--source", "hms", *words)
    assert result.exit_code == 3
    assert "1 new" in result.output and "days before 2005-08-05: the provider begins then" in result.output


def test_an_unknown_variable_is_refused():
    with pytest.raises(UnknownName, match="choose of th, vs"):
        plain("gridmet", variables=("humidity",))


# NASA's catalogue


def maiac_url(
    day="2020256", tile="h08v05", made="2023149072031", root="https://data.lpdaac.earthdatacloud.nasa.gov"
):
    return f"{root}/lp-prod-protected/MCD19A2.061/MCD19A2.A{day}.{tile}.061.{made}.hdf"


DAY = dt.date(2020, 9, 12)


def pick(*granules, tiles=("h08v05",), days=(DAY,), source="maiac", variables=("",)):
    return choose(provider_of(source), granules, list(days), variables, tiles)


def test_granules_are_chosen_by_day_and_tile_the_later_production_first():
    found = pick(
        net.granule(maiac_url(made="2023149072031")),
        net.granule(maiac_url(made="2024001000000")),
        net.granule(maiac_url(tile="h30v10")),
        net.granule(maiac_url(day="2020257")),
        tiles=("h08v05", "h09v05"),
    )
    assert [file.name for file in found.files] == ["MCD19A2.A2020256.h08v05.061.2024001000000.hdf"]
    assert list(found.absent) == ["2020-09-12 h09v05"]


def test_a_granule_named_by_a_day_that_its_year_lacks_is_no_other_day():
    with pytest.raises(BadFetch, match=r"MCD19A2\.A2021366\..* names no day .*days 1 to 365"):
        pick(net.granule(maiac_url(day="2021366")), days=(dt.date(2022, 1, 1),))


def test_size_and_checksum_are_the_catalogue_s():
    (file,) = pick(net.granule(maiac_url(), 1234, "AB" * 16)).files
    assert (file.size, file.checksum) == (1234, "md5:" + "ab" * 16)


def test_a_granule_of_an_odd_checksum_or_none_is_taken_without():
    granule = net.granule(maiac_url(), 1234)
    (about,) = granule["umm"]["DataGranule"]["ArchiveAndDistributionInformation"]
    about["Checksum"] = {"Algorithm": "Adler-32", "Value": "12345678"}
    assert pick(granule).files[0].checksum is None


@pytest.mark.parametrize(
    "url",
    [
        maiac_url() + "/../../../etc/passwd",
        maiac_url().replace(".061.", ".006."),
        maiac_url() + ".xml",
        "s3://" + maiac_url(),
        "https://data.example/..%2F..%2Fevil.hdf",
    ],
)
def test_what_is_not_called_as_the_table_says_is_not_taken(url):
    assert pick(net.granule(url)).files == ()


def test_daymet_loses_the_prefix_that_its_reader_does_not_know():
    url = "https://data.ornldaac.earthdata.nasa.gov/protected/daymet/Daymet_Daily_V4R1/data/"
    granules = [
        net.granule(f"{url}Daymet_Daily_V4R1.daymet_v4_daily_{area}_tmax_2020.nc") for area in ("na", "hi")
    ]
    found = pick(*granules, source="daymet", days=(dt.date(2020, 1, 1),), tiles=(), variables=("tmax", "vp"))
    assert [file.name for file in found.files] == ["daymet_v4_daily_na_tmax_2020.nc"]
    assert list(found.absent) == ["2020-01-01 vp"]


def test_a_reprocessed_stream_of_merra2_is_taken():
    name = "MERRA2_401.tavg1_2d_aer_Nx.20200912.nc4"
    found = pick(
        net.granule(f"https://data.gesdisc.earthdata.nasa.gov/data/{name}"), source="merra2", tiles=()
    )
    assert [file.name for file in found.files] == [name]


def ask(world, *granules):
    world.files["/search/granules.umm_json"] = net.catalogue(list(granules))
    return search(provider_of("maiac"), [DAY], ("",), ("h08v05",), CONUS, HttpClient(), world.url)


def test_the_catalogue_is_asked_through_earthaccess(world):
    assert len(ask(world, net.granule(maiac_url())).files) == 1
    assert "Authorization" not in world.asked[0].headers


def test_a_catalogue_that_fails_is_one_line(world):
    world.add("/search/granules.umm_json", b"", *[net.status(500)] * 99)
    with pytest.raises(BadFetch, match="NASA's catalogue answers 500 to the search for MCD19A2") as failed:
        search(provider_of("maiac"), [DAY], ("",), ("h08v05",), CONUS, HttpClient(), world.url)
    assert "not now" not in str(failed.value)


def test_a_catalogue_out_of_reach_is_one_line():
    with net.serving() as world:
        pass
    with pytest.raises(BadFetch, match="cannot be searched for MCD19A2"):
        search(provider_of("maiac"), [DAY], ("",), ("h08v05",), CONUS, HttpClient(), world.url)


def test_a_catalogue_that_talks_nonsense_is_one_line(world):
    world.add("/search/granules.umm_json", b"<html>maintenance</html>")
    with pytest.raises(BadFetch, match="cannot be searched for MCD19A2"):
        search(provider_of("maiac"), [DAY], ("",), ("h08v05",), CONUS, HttpClient(), world.url)


@pytest.mark.parametrize("place", ["the catalogue", "where it leads"])
def test_the_catalogue_gets_no_credentials(place, world, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login me password sesame\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    if place == "the catalogue":
        ask(world)
    else:
        world.add("/search/granules.umm_json", b"", net.redirect("/elsewhere"))
        with pytest.raises(BadFetch, match="TooManyRedirects"):
            search(provider_of("maiac"), [DAY], ("",), ("h08v05",), CONUS, HttpClient(), world.url)
    assert len(world.asked) == 1
    assert "Authorization" not in world.asked[0].headers


# The login


def test_no_credentials_is_one_line_that_says_where_to_put_them():
    with pytest.raises(LoginFailed, match=r"Set EARTHDATA_TOKEN .* or EARTHDATA_USERNAME .* ~/\.netrc"):
        earthdata_login()


def test_a_token_goes_before_a_password(monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setenv("EARTHDATA_USERNAME", "me")
    monkeypatch.setenv("EARTHDATA_PASSWORD", "open sesame")
    assert earthdata_login().header("https://urs.earthdata.nasa.gov/") == f"Bearer {TOKEN}"


def answers(code, body):
    def post(self, url, **more):
        assert url == "https://urs.earthdata.nasa.gov/api/users/find_or_create_token"
        response = requests.Response()
        response.status_code, response._content, response.url = code, json.dumps(body).encode(), url
        return response

    return post


@pytest.mark.parametrize("place", ["the environment", ".netrc"])
def test_a_password_is_changed_for_a_token(place, monkeypatch, tmp_path):
    if place == ".netrc":
        (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login me password sesame\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    else:
        monkeypatch.setenv("EARTHDATA_USERNAME", "me")
        monkeypatch.setenv("EARTHDATA_PASSWORD", "sesame")
    token = {"access_token": TOKEN, "expiration_date": "12/31/2030"}
    monkeypatch.setattr(requests.Session, "post", answers(200, token))
    login = earthdata_login()
    assert login.header("https://data.ornldaac.earthdata.nasa.gov/x") == f"Bearer {TOKEN}"
    assert login.header("https://urs.earthdata.nasa.gov/x") == "Basic bWU6c2VzYW1l"


def test_a_refused_password_is_one_line_without_it(monkeypatch, capfd):
    monkeypatch.setenv("EARTHDATA_USERNAME", "me")
    monkeypatch.setenv("EARTHDATA_PASSWORD", "open sesame")
    refusal = {"error": "invalid_credentials", "echo": "open sesame"}
    monkeypatch.setattr(requests.Session, "post", answers(401, refusal))
    with pytest.raises(
        LoginFailed, match="refuses the user name and password of EARTHDATA_USERNAME"
    ) as refused:
        earthdata_login()
    assert "sesame" not in str(refused.value) + "".join(capfd.readouterr())
    assert refused.value.__cause__ is None


def test_a_login_out_of_reach_is_one_line(monkeypatch):
    def post(self, url, **more):
        raise requests.ConnectionError("open sesame")

    monkeypatch.setenv("EARTHDATA_USERNAME", "me")
    monkeypatch.setenv("EARTHDATA_PASSWORD", "open sesame")
    monkeypatch.setattr(requests.Session, "post", post)
    with pytest.raises(LoginFailed, match=r"cannot log in at .* \(ConnectionError\)") as failed:
        earthdata_login()
    assert "sesame" not in str(failed.value)


# Each kind of file is opened before it counts


def check_file(source, path):
    """Open a fetched file as data fetch does."""
    load(provider_of(source).check)(path)


SQUARE = shapely.box(-121, 38, -119, 40)


def smoke(folder, day):
    """A zipped shapefile of one plume, as NOAA packs it."""
    provider_files.write_hms(folder, day, [(SQUARE, "Heavy")])
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in folder.glob(f"hms_smoke{day:%Y%m%d}.*"):
            archive.write(path, path.name)
            path.unlink()
    return held.getvalue()


def maiac_file(folder):
    values = np.random.default_rng(1).uniform(0, 2, (2, 60, 60))
    path = provider_files.write_maiac(folder, DAY, (8, 5), values, values, np.full((2, 60, 60), 1))
    return path, "maiac"


def ndvi_file(folder):
    values = np.random.default_rng(2).uniform(0, 0.5, (60, 60))
    return provider_files.write_nbar(folder, DAY, (8, 5), values, values, np.zeros((60, 60))), "ndvi"


def composite_file(folder):
    values = np.random.default_rng(3).uniform(0, 0.5, (60, 60))
    return provider_files.write_vegetation(folder, DAY, (8, 5), values, np.zeros((60, 60))), "ndvi"


def gridmet_file(folder):
    days = provider_files.days_of_year(2020)[:20]
    values = np.random.default_rng(4).uniform(0, 300, (20, 30, 30))
    return provider_files.write_gridmet(
        folder, "th", 2020, np.arange(30), -np.arange(30), values, days
    ), "gridmet"


def gmted_file(folder):
    values = np.random.default_rng(5).uniform(0, 300, (50, 50))
    path = folder / "30N120W_20101117_gmted_mea300.tif"
    return provider_files.write_gmted(
        path, np.arange(50) / 10 - 120, 40 - np.arange(50) / 10, values
    ), "gmted"


def hms_file(folder):
    path = folder / "hms_smoke20200912.zip"
    path.write_bytes(smoke(folder, DAY))
    return path, "hms"


@pytest.mark.parametrize("make", [maiac_file, ndvi_file, composite_file, gridmet_file, gmted_file, hms_file])
def test_a_file_is_good_whole_and_refused_cut_off(make, tmp_path):
    tmp_path = tmp_path / "alone"
    tmp_path.mkdir()
    path, kind = make(tmp_path)
    check_file(kind, path)
    body = path.read_bytes()
    for share in (0.9, 0.5):
        path.write_bytes(body[: int(len(body) * share)])
        with pytest.raises(Exception, match=re.escape(path.name)) as refused:
            check_file(kind, path)
        assert "Bad" in type(refused.value).__name__


# The command


def run(*words):
    return CliRunner().invoke(cli, ["data", "fetch", *map(str, words)])


def days_of(world, folder, *days):
    for day in days:
        path = f"/pub/FIRE/web/HMS/Smoke_Polygons/Shapefile/{day:%Y}/{day:%m}/hms_smoke{day:%Y%m%d}.zip"
        world.add(path, smoke(folder / "made", day))


def hms_words(world, out):
    return ["--source", "hms", "--start", START, "--end", END, "--base-url", world.url, "--out", out]


def test_fetched_smoke_is_ingested(world, tmp_path):
    days = [START + dt.timedelta(days=i) for i in range(4)]
    days_of(world, tmp_path, *days)
    result = run(*hms_words(world, tmp_path / "hms"))
    assert result.exit_code == 0, result.output
    assert "4 new" in result.output
    save_grid(small_grid(), tmp_path / "grid")
    words = ["--start", START, "--end", END, "--store", tmp_path / "s.zarr", "--grid", tmp_path / "grid"]
    words = ["data", "ingest", "--source", "hms", "--files", tmp_path / "hms", *words]
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "4 days written" in result.output


def test_an_absent_day_is_listed_and_ends_with_3_and_a_failed_one_with_1(world, tmp_path):
    days_of(world, tmp_path, START, START + dt.timedelta(days=1), END)
    result = run(*hms_words(world, tmp_path / "hms"))
    assert result.exit_code == 3
    assert "3 new" in result.output and "1 absent, 0 failed" in result.output
    assert "absent      hms_smoke20200901.zip: HTTP 404" in result.output
    failing = next(path for path in world.files if "20200902" in path)
    (tmp_path / "hms/hms_smoke20200902.zip").unlink()
    world.files[failing].faults.extend([net.status(503)] * 9)
    result = run(*hms_words(world, tmp_path / "hms"), "--json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert list(facts["failed"]) == ["hms_smoke20200902.zip"]
    assert list(facts["absent"]) == ["hms_smoke20200901.zip"]
    assert len(facts["kept"]) == 2
    world.files[failing].faults.clear()
    assert "1 new" in run(*hms_words(world, tmp_path / "hms")).output


def test_a_dry_run_lists_addresses_and_sizes_and_fetches_nothing(world, tmp_path):
    days_of(world, tmp_path, START)
    result = run(*hms_words(world, tmp_path / "hms"), "--dry-run")
    assert result.exit_code == 0
    assert (
        f"{world.url}/pub/FIRE/web/HMS/Smoke_Polygons/Shapefile/2020/08/hms_smoke20200830.zip"
        in result.output
    )
    assert result.output.count("absent") == 3
    assert "1 files to fetch, 0.0 MB" in result.output
    assert not (tmp_path / "hms").exists()
    assert {one.method for one in world.asked} == {"HEAD"}


def nasa(world, folder, checksum=None):
    """A catalogue of one granule over Oregon, and the granule behind a redirect to another path."""
    path, _ = maiac_file(folder / "made")
    body = path.read_bytes()
    url = maiac_url(root=world.url)
    world.add(url.removeprefix(world.url), body)
    good = hashlib.md5(body, usedforsecurity=False).hexdigest()
    world.files["/search/granules.umm_json"] = net.catalogue([net.granule(url, len(body), checksum or good)])
    return path.name


def maiac_words(world, out):
    words = ["--source", "maiac", "--start", DAY, "--end", DAY, "--region", "nevada"]
    return [*words, "--base-url", world.url, "--out", out]


def test_a_granule_comes_with_a_token_and_what_the_catalogue_lacks_is_absent(world, tmp_path, monkeypatch):
    name = nasa(world, tmp_path)
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    result = run(*maiac_words(world, tmp_path / "maiac"))
    assert result.exit_code == 3, result.output
    assert "1 new" in result.output
    assert "2020-09-12 h08v04: not in NASA's catalogue" in result.output
    assert (tmp_path / "maiac" / name).is_file()
    assert world.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in result.output
    kept = [p.read_text() for p in (tmp_path / "maiac/.fetch").glob("*.json")]
    assert TOKEN not in "".join(kept)


def test_a_granule_that_is_not_what_the_catalogue_states_fails(world, tmp_path, monkeypatch):
    nasa(world, tmp_path, checksum="0" * 32)
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    result = run(*maiac_words(world, tmp_path / "maiac"))
    assert result.exit_code == 1
    assert "has not the checksum that the catalogue states" in result.output


def test_nasa_without_a_login_is_one_line_and_a_dry_run_needs_none(world, tmp_path):
    nasa(world, tmp_path)
    result = run(*maiac_words(world, tmp_path / "maiac"))
    assert isinstance(result.exception, LoginFailed)
    assert "\n" not in str(result.exception)
    result = run(*maiac_words(world, tmp_path / "maiac"), "--dry-run")
    assert result.exit_code == 0
    assert "1 files to fetch" in result.output


def test_a_refused_token_is_one_line_without_it(world, tmp_path, monkeypatch):
    nasa(world, tmp_path)
    path = next(path for path in world.files if path.endswith(".hdf"))
    world.files[path].faults.append(net.status(401))
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    result = run(*maiac_words(world, tmp_path / "maiac"))
    assert isinstance(result.exception, LoginFailed)
    assert "refuses the login of EARTHDATA_TOKEN" in str(result.exception)
    assert TOKEN not in str(result.exception) + result.output


def test_a_mirror_of_the_network_must_be_https():
    result = run(
        "--source", "hms", "--start", START, "--end", END, "--dry-run", "--base-url", "http://mirror.example"
    )
    assert isinstance(result.exception, BadFetch)


def test_days_and_folder_are_asked_for():
    assert run("--source", "hms", "--out", "x").exit_code == 2
    assert run("--source", "hms", "--start", START, "--end", END).exit_code == 2


def test_elevation_needs_no_days(world, tmp_path):
    path, _ = gmted_file(tmp_path)
    root = provider_of("gmted").path.split("{tile")[0]
    world.add(f"{root}W120/30N120W_20101117_gmted_mea300.tif", path.read_bytes())
    result = run(
        "--source", "gmted", "--region", "colorado", "--base-url", world.url, "--out", tmp_path / "gmted"
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "gmted/30N120W_20101117_gmted_mea300.tif").is_file()


def test_a_full_disk_is_one_line(world, tmp_path, monkeypatch):
    import shutil

    days_of(world, tmp_path, START)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    result = run(*hms_words(world, tmp_path / "hms"))
    assert "the disk has less" in str(result.exception)


def test_a_folder_that_cannot_be_made_is_one_line(world, tmp_path):
    (tmp_path / "hms").write_text("a file")
    result = run(*hms_words(world, tmp_path / "hms"))
    assert result.exit_code == 1 and "hms is in the way. Choose another name" in str(result.exception)
    (tmp_path / "in").write_text("a file")
    result = run(*hms_words(world, tmp_path / "in" / "hms"))
    assert "in is in the way. Choose another name" in str(result.exception)


def test_netcdf_of_another_thing_is_refused(tmp_path):
    path = tmp_path / "th_2020.nc"
    with netCDF4.Dataset(path, "w") as held:
        held.createDimension("day", 2)
        held.createVariable("day", "f8", ("day",)).units = "parsecs"
    with pytest.raises(Exception, match="time axis"):
        check_file("gridmet", path)


@pytest.mark.parametrize("package", ["pooch", "requests"])
def test_without_the_extra_one_line_says_what_to_install(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    result = run("--source", "hms", "--start", START, "--end", END, "--out", "x")
    assert isinstance(result.exception, BadInstall)
    assert "pip install 'pm25map[fetch]'" in str(result.exception)


def test_without_earthaccess_nasa_s_sources_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "earthaccess", None)
    with pytest.raises(BadInstall, match="earthaccess"):
        search(provider_of("merra2"), [DAY], ("",), (), CONUS, HttpClient())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ndvi", "modis/MOD13A2.A2021225.h11v06.061.2021320163717.hdf"),
        ("gridmet", "gridmet/pr_2018.nc"),
        ("nclimgrid", "nclimgrid/tmax-202201-grd-scaled.nc"),
    ],
)
def test_a_provider_s_own_file_is_good_and_half_of_it_is_not(kind, name, shared_data, tmp_path):
    held = shared_data / "providers" / name
    if not held.is_file():
        pytest.skip(f"no {held}")
    check_file(kind, held)
    half = tmp_path / held.name
    half.write_bytes(held.read_bytes()[: held.stat().st_size // 2])
    with pytest.raises(BadPredictors, match=re.escape(held.name)):
        check_file(kind, half)

"""The tile server: true answers, nothing beyond its folder, limits that hold, no request lost."""

import datetime as dt
import io
import socket
import threading

import httpx
import numpy as np
import pytest
import rasterio
import schemathesis
import shapely
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from looked_at import write_bands, write_map
from maps import address_grid, address_map
from matplotlib.image import imread
from pyproj import Transformer
from rasterio.transform import Affine
from schemathesis.checks import positive_data_acceptance
from served import served

from pm25map.base.aqi import TRUNCATION_SLACK
from pm25map.base.errors import BadServer
from pm25map.cli.serve import command
from pm25map.grid import region
from pm25map.view.server.app import make_app
from pm25map.view.server.catalogue import read_catalogue
from pm25map.view.server.run import listen

GRID = address_grid()
LAND = address_map(GRID)
TO_LONLAT = Transformer.from_crs(GRID.crs, "OGC:CRS84", always_xy=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    write_map(outside / "secret.tif", GRID, LAND)
    folder = tmp_path_factory.mktemp("maps")
    for number in (11, 12, 13):
        write_map(
            folder / "2020" / f"pm25_2020-09-{number}.tif", GRID, LAND * number, dt.date(2020, 9, number)
        )
    (folder / "broken.tif").write_bytes(b"II*\0 cut short")
    (folder / "link.tif").symlink_to(outside / "secret.tif")
    (folder / "passwords.tif").symlink_to("/etc/passwd")
    vrt = '<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:5070</SRS>'
    vrt += '<VRTRasterBand dataType="Float32" band="1">'
    vrt += f"<SimpleSource><SourceFilename>{outside}/secret.tif</SourceFilename><SourceBand>1</SourceBand>"
    (folder / "trap.tif").write_text(vrt + "</SimpleSource></VRTRasterBand></VRTDataset>")
    return folder


@pytest.fixture(scope="module")
def app(folder):
    return make_app(read_catalogue(folder), rate=1e6)


@pytest.fixture(scope="module")
def client(app):
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


def place(row, col):
    x, y = GRID.xy()
    return TO_LONLAT.transform(x[col], y[row])


def test_the_maps_are_listed_and_what_is_left_out_has_a_reason(client, folder):
    said = client.get("/maps").json()
    assert [one["name"] for one in said["maps"]] == [f"pm25_2020-09-{n}" for n in (11, 12, 13)]
    assert said["maps"][0]["layers"][0]["unit"] == "ug m-3"
    assert set(said["left_out"]) == {"broken.tif", "link.tif", "passwords.tif", "trap.tif"}
    assert "leads out of the folder" in said["left_out"]["link.tif"]
    assert str(folder) not in client.get("/maps").text


def test_a_place_over_time_has_the_cells_own_values(client):
    lon, lat = place(20, 30)
    said = client.get("/point", params={"lon": lon, "lat": lat}).json()
    assert [one["day"] for one in said["values"]] == ["2020-09-11", "2020-09-12", "2020-09-13"]
    assert [one["value"] for one in said["values"]] == pytest.approx([LAND[20, 30] * n for n in (11, 12, 13)])
    days = {"start": "2020-09-12", "end": "2020-09-12"}
    assert len(client.get("/point", params={"lon": lon, "lat": lat, **days}).json()["values"]) == 1
    lon, lat = place(1, 1)
    said = client.get("/point", params={"lon": lon, "lat": lat}).json()
    assert [one["value"] for one in said["values"]] == [None] * 3


def test_a_place_or_layer_that_is_not_there_is_a_clear_answer(client):
    assert "outside of every map" in client.get("/point", params={"lon": 10, "lat": 50}).json()["detail"]
    lon, lat = place(20, 30)
    answer = client.get("/point", params={"lon": lon, "lat": lat, "layer": "nonsense"})
    assert (answer.status_code, "no map has layer" in answer.json()["detail"]) == (400, True)
    assert client.get("/point", params={"lon": "nan", "lat": 5}).status_code == 422


def box_of(row, col, rows, cols):
    """The outline, in degrees, of the middles of some cells."""
    x, y = GRID.xy()
    # Straight in degrees is a little bent on the grid: the rim runs well between two rows of middles.
    ring = shapely.box(x[col] - 3e3, y[row + rows - 1] - 3e3, x[col + cols - 1] + 3e3, y[row] + 3e3)
    return shapely.transform(ring, lambda xy: np.column_stack(TO_LONLAT.transform(xy[:, 0], xy[:, 1])))


def ask(client, shape, name="pm25_2020-09-12"):
    geometry = shapely.geometry.mapping(shape)
    return client.post(f"/maps/{name}/statistics", json={"geometry": geometry})


def test_statistics_over_a_polygon_are_those_of_its_cells(client):
    said = ask(client, box_of(10, 20, 5, 8)).json()
    cells = LAND[10:15, 20:28].astype(np.float64) * 12
    assert (said["cells"], said["area_km2"], said["unit"]) == (40, pytest.approx(4000, rel=1e-6), "ug m-3")
    for name, value in {"mean": cells.mean(), "minimum": cells.min(), "maximum": cells.max(),
                        "median": np.quantile(cells, 0.5, method="inverted_cdf"),
                        "p90": np.quantile(cells, 0.9, method="inverted_cdf")}.items():  # fmt: skip
        assert said[name] == pytest.approx(value, rel=1e-5)
    assert sum(said["class_percent"].values()) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize("shape", [box_of(10, 20, 5, 8), shapely.MultiPolygon([box_of(10, 20, 5, 8)])])
def test_a_bare_geometry_says_what_its_feature_says(client, shape):
    bare = shapely.geometry.mapping(shape)
    feature = {"type": "Feature", "properties": {}, "geometry": bare}
    answers = [client.post("/maps/pm25_2020-09-12/statistics", json=body) for body in (bare, feature)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json() == ask(client, shape).json()


def test_a_bare_geometry_that_is_no_polygon_is_refused(client):
    for kind, coordinates in (("Point", [-98, 36]), ("Polygon", [[-98, 36]])):
        body = {"type": kind, "coordinates": coordinates}
        assert client.post("/maps/pm25_2020-09-12/statistics", json=body).status_code == 422


def test_a_polygon_within_a_cell_takes_that_cell(client):
    lon, lat = place(20, 30)
    said = ask(client, shapely.Point(lon + 0.02, lat + 0.02).buffer(0.001)).json()
    assert (said["cells"], said["mean"]) == (1, pytest.approx(LAND[20, 30] * 12))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (shapely.box(5, 45, 10, 50), "outside of the map"),
        (box_of(0, 0, 2, 2), "outside of the map, or over water"),
        (shapely.Polygon([(-98, 36), (-97, 37), (-98, 37), (-97, 36)]), "not valid"),
        (shapely.Point(-98, 36).buffer(1, quad_segs=600), "vertices"),
    ],
)
def test_a_polygon_that_has_no_answer(client, shape, words):
    answer = ask(client, shape)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_a_polygon_of_more_cells_than_allowed_is_refused(tmp_path):
    large = np.zeros((2100, 2100), np.uint8)
    write_bands(tmp_path / "large.tif", {"x": (large, "")}, crs="EPSG:4326", nodata=255,
                transform=Affine(0.01, 0, -110, 0, -0.01, 50))  # fmt: skip
    client = TestClient(make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1")
    geometry = shapely.geometry.mapping(shapely.box(-111, 25, -80, 51))
    answer = client.post("/maps/large/statistics?layer=x", json={"geometry": geometry})
    assert (answer.status_code, "smaller one" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..%5c..%5cetc%5cpasswd",
        "link",
        "link.tif",
        "passwords",
        "trap",
        "2020/pm25_2020-09-12.tif",
        "%2fvsizip%2f..%2fsecret.zip",
        "%2fvsicurl%2fhttp:%2f%2flocalhost%2fx.tif",
        "pm25_2020-09-12%00.tif",
    ],
)
@pytest.mark.parametrize(
    "route", ["/maps/{}/layers/pm25", "/maps/{}/tiles/0/0/0.png", "/{}", "/maps/{}/hotspots"]
)
def test_no_path_outside_of_the_folder_can_be_read(client, path, route):
    answer = client.get(route.format(path))
    assert answer.status_code == 404
    assert b"root:" not in answer.content


def tile_at(z, lon, lat):
    n = 2**z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return int((lon + 180) / 360 * n), int(y * n)


def test_a_tile_has_the_colours_of_its_cells(client):
    from pm25map.view.colours import colours

    lon, lat = place(20, 30)
    z = 9
    x, y = tile_at(z, lon, lat)
    answer = client.get(f"/maps/pm25_2020-09-12/tiles/{z}/{x}/{y}.png")
    assert answer.headers["content-type"] == "image/png"
    picture = imread(io.BytesIO(answer.content))
    assert picture.shape == (256, 256, 4)
    px = int(((lon + 180) / 360 * 2**z - x) * 256)
    fraction = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**z - y
    colormap, norm = colours()
    np.testing.assert_allclose(
        picture[int(fraction * 256), px, :3], colormap(norm(LAND[20, 30] * 12))[:3], atol=0.01
    )
    assert client.get(f"/maps/pm25_2020-09-12/tiles/{z}/0/0.png").status_code == 404
    assert client.get("/maps/pm25_2020-09-12/tiles/40/0/0.png").status_code == 422


def test_off_the_land_a_tile_is_clear(client):
    lon, lat = place(1, 1)
    x, y = tile_at(13, lon, lat)
    picture = imread(io.BytesIO(client.get(f"/maps/pm25_2020-09-12/tiles/13/{x}/{y}.png").content))
    assert (picture[..., 3] == 0).all()


def test_the_page_takes_its_values_from_the_server(client):
    page = client.get("/").text
    assert "connect-src 'self'" in page
    assert '"href":"maps/pm25_2020-09-12/layers/pm25"' in page
    import base64

    from pm25map.view.pack import Packed, inflate

    answer = client.get("/maps/pm25_2020-09-12/layers/pm25")
    packed = Packed(0.1, 0.0, base64.b64encode(answer.content).decode())
    np.testing.assert_allclose(
        inflate(packed, GRID.shape),
        np.floor((LAND * 12).astype(float) * 10 + TRUNCATION_SLACK) / 10,
        atol=1e-4,
    )
    assert client.get("/maps/pm25_2020-09-12/hotspots").status_code == 200


def test_a_request_for_another_host_is_refused(app):
    answer = TestClient(app, base_url="http://evil.example").get("/maps")
    assert answer.status_code == 400


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadServer, match=f"port {port} of 127.0.0.1 is taken.*--port"):
            listen("127.0.0.1", port)
    with pytest.raises(BadServer, match="address of this machine"):
        listen("192.0.2.1", 8000)


def test_a_folder_without_maps_is_said(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        done = CliRunner().invoke(command, [str(path), "--port", "0"])
        assert isinstance(done.exception, BadServer)
    (tmp_path / "x.tif").write_text("no")
    with pytest.raises(BadServer, match="none of the 1 files"):
        read_catalogue(tmp_path)


@pytest.fixture(scope="module")
def address(folder):
    """A real server on loopback, at its usual limits, in a thread that ends with the tests."""
    with served(make_app(read_catalogue(folder))) as address:
        yield address


def test_two_hundred_tiles_at_once_are_all_answered(address):
    import asyncio

    west, east = tile_at(9, -98, 36)[0], tile_at(9, -94.5, 36)[0]
    north, south = tile_at(9, -96, 37)[1], tile_at(9, -96, 36)[1]
    names = [f"{x}/{y}" for x in range(west, east) for y in range(north, south)]
    wanted = [f"/maps/pm25_2020-09-{11 + i % 3}/tiles/9/{names[i % len(names)]}.png" for i in range(200)]

    async def all_at_once():
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(client.get(path) for path in wanted))

    answers = asyncio.run(all_at_once())
    assert [answer.status_code for answer in answers] == [200] * 200
    assert all(answer.content.startswith(b"\x89PNG") for answer in answers)


def test_a_map_that_goes_away_is_a_clear_answer(tmp_path):
    path = write_map(tmp_path / "a.tif", GRID, LAND)
    client = TestClient(
        make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    path.unlink()
    lon, lat = place(20, 30)
    for answer in (
        client.get("/point", params={"lon": lon, "lat": lat}),
        client.get("/maps/a/layers/pm25"),
        client.get("/maps/a/tiles/0/0/0.png"),
        ask(client, box_of(10, 20, 5, 8), "a"),
    ):
        assert answer.status_code == 410, answer.text
        assert str(tmp_path) not in answer.text


def test_oregon_is_as_large_as_oregon(tmp_path):
    from test_preview import conus, planted_map

    write_map(tmp_path / "m.tif", conus(), planted_map())
    client = TestClient(make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1")
    said = ask(client, region("oregon").simplify(0.01), "m").json()
    assert said["area_km2"] == pytest.approx(251_000, rel=0.02)
    assert said["median"] == 312
    with rasterio.open(tmp_path / "m.tif") as source:
        assert source.crs.to_epsg() == 5070


@pytest.mark.parametrize(
    "operation",
    [
        "GET /",
        "GET /maps",
        "GET /point",
        "GET /maps/{name}/layers/{key}",
        "GET /maps/{name}/hotspots",
        "GET /maps/{name}/tiles/{z}/{x}/{y}.png",
        "POST /maps/{name}/statistics",
    ],
)
def test_it_keeps_to_its_own_description(folder, operation):
    """By schemathesis: no server error, and only answers that the description names, in their form."""
    described = schemathesis.openapi.from_asgi(
        "/openapi.json", make_app(read_catalogue(folder), rate=1e6, hosts=("*",))
    )
    method, path = operation.split()
    assert len(list(described.get_all_operations())) == 7

    @given(case=described[path][method].as_strategy())
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def keeps(case):
        # A polygon that lies in the sea keeps to the description, and has no answer all the same.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    keeps()


@pytest.mark.parametrize("number", [1e300, -1e300, 181.0, 1e7])
def test_absurd_coordinates_are_the_askers_fault(client, number):
    ring = [[number, 36], [-97, number], [-98, 37], [number, 36]]
    answer = client.post(
        "/maps/pm25_2020-09-12/statistics", json={"geometry": {"type": "Polygon", "coordinates": [ring]}}
    )
    assert answer.status_code == 400
    assert "not in degrees" in answer.json()["detail"]


def test_every_answer_carries_the_headers_that_a_browser_needs(client):
    for path in ("/maps", "/nothing", "/maps/nothing/tiles/0/0/0.png"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    refused = client.get("/maps", headers={"host": "evil.example"})
    assert (refused.status_code, refused.headers["x-content-type-options"]) == (400, "nosniff")


def test_the_page_may_not_be_framed(client):
    headers = client.get("/").headers
    assert headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src" not in headers["content-security-policy"], (
        "the page states in itself what it may load"
    )


@pytest.mark.parametrize("how", ["cut short", "replaced", "of more bands", "a link", "gone"])
def test_a_map_that_is_not_as_it_was_is_an_error_and_no_empty_tile(tmp_path, how):
    folder = tmp_path / "maps"
    path = write_map(folder / "m.tif", GRID, LAND)
    write_map(tmp_path / "other.tif", GRID, LAND * 2)
    client = TestClient(make_app(read_catalogue(folder)), base_url="http://127.0.0.1")
    lon, lat = place(20, 30)
    tile = "/maps/m/tiles/6/14/25.png"
    for path_before in (tile, "/maps/m/hotspots", "/maps/m/layers/pm25"):
        assert client.get(path_before).status_code == 200
    if how == "cut short":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "of more bands":
        write_bands(path, {"a": (LAND, "1"), "b": (LAND * 9, "1")}, grid=GRID)
    elif how == "replaced":
        (tmp_path / "other.tif").replace(path)
    else:
        path.unlink()
    if how == "a link":
        path.symlink_to(tmp_path / "other.tif")
    box = shapely.geometry.mapping(box_of(10, 20, 5, 8))
    answers = [
        client.get(tile),
        client.get("/point", params={"lon": lon, "lat": lat}),
        client.post("/maps/m/statistics", json={"geometry": box}),
        client.get("/maps/m/layers/pm25"),
        client.get("/maps/m/hotspots"),
    ]
    for answer in answers:
        # Programs that draw tiles take 404 for a place without a map, and draw nothing there.
        assert answer.status_code == 410
        assert "moved, replaced or damaged" in answer.json()["detail"]
        assert answer.headers["cache-control"] == "no-store"


def test_a_browser_keeps_a_tile_only_as_long_as_the_map_is_the_same(tmp_path):
    path = write_map(tmp_path / "m.tif", GRID, LAND)
    x, y = tile_at(6, *place(20, 30))
    tile, layer = f"/maps/m/tiles/6/{x}/{y}.png", "/maps/m/layers/pm25"

    def client():
        return TestClient(make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1")

    for address in (tile, layer):
        first = client().get(address)
        assert first.headers["cache-control"] == "no-cache"
        known = {"if-none-match": first.headers["etag"]}
        again = client().get(address, headers=known)
        assert (again.status_code, again.content) == (304, b"")
    for made in tmp_path.iterdir():
        made.unlink()
    write_map(path, GRID, LAND * 2)
    answer = client().get(tile, headers=known)
    assert (answer.status_code, answer.headers["etag"] != known["if-none-match"]) == (200, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"geometry": NaN}', 422),
        (b'{"geometry": Infinity}', 422),
        (b'{"geometry": "\\ud800"}', 422),
        (b'{"geometry": {"type": "Polygon", "coordinates": [[[' + b"9" * 400 + b", 1]]]}}", 422),
        (b"\xff\xfe", 422),
        (b"[" * 200_000, 400),
        (b'{"geometry": ' + b"9" * 100_000 + b"}", 400),
        (b'{"geometry": {"type": "MultiPolygon", "coordinates": []}}', 400),
    ],
)
def test_a_body_that_makes_no_sense_is_the_askers_fault(client, body, status):
    answer = client.post(
        "/maps/pm25_2020-09-12/statistics", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert len(answer.content) < 2000, "what was asked is not sent back"


def test_a_polygon_of_endless_height_has_its_cells(client):
    flat = box_of(10, 20, 5, 8)
    high = [[[x, y, "endless"] for x, y in flat.exterior.coords]]
    text = f'{{"geometry": {{"type": "Polygon", "coordinates": {high}}}}}'.replace("'endless'", "1e999")
    answer = client.post(
        "/maps/pm25_2020-09-12/statistics", content=text, headers={"content-type": "application/json"}
    )
    assert answer.json() == ask(client, flat).json()


def test_a_tile_of_too_many_cells_is_refused_and_one_of_an_overview_is_not(tmp_path, monkeypatch):
    from pm25map.view.server import tiles

    large = np.zeros((1200, 1200), np.uint8)
    path = write_bands(tmp_path / "large.tif", {"x": (large, "")}, crs="EPSG:4326", nodata=255,
                       transform=Affine(0.01, 0, -110, 0, -0.01, 50))  # fmt: skip
    monkeypatch.setattr(tiles, "MOST_CELLS", 500_000)

    def answer():
        client = TestClient(make_app(read_catalogue(tmp_path)), base_url="http://127.0.0.1")
        return client.get("/maps/large/tiles/2/0/1.png?layer=x")

    refused = answer()
    assert (refused.status_code, "gdaladdo" in refused.json()["detail"]) == (400, True)
    with rasterio.open(path, "r+") as source:
        source.build_overviews([2, 4])
    assert answer().status_code == 200


def test_the_first_visitor_waits_for_nothing(folder, monkeypatch):
    """What takes seconds is begun when the server starts, before anybody asks."""
    from pm25map.view.server import app as module

    begun = threading.Event()
    monkeypatch.setattr(module, "_prepare", lambda page, spots, name: (page(), spots(name), begun.set()))
    with TestClient(make_app(read_catalogue(folder)), base_url="http://127.0.0.1") as client:
        assert begun.wait(60)
        monkeypatch.setattr(module, "spots_of_each", None)
        monkeypatch.setattr(module, "page_data", None)
        assert client.get("/maps/pm25_2020-09-13/hotspots").status_code == 200
        assert client.get("/").status_code == 200

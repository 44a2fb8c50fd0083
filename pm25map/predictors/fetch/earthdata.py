"""Searches of NASA's catalogue (CMR) through earthaccess: which granules of a collection there are, and where.

Searching needs no login. What the catalogue returns is not trusted: the whole name of a granule must match the table's,
and its address must be https.
"""

import datetime as dt
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from pm25map.base.errors import BadFetch, BadInstall
from pm25map.predictors.catalogue import Provider
from pm25map.predictors.fetch.http import (
    CONNECT_SECONDS,
    READ_SECONDS,
    USER_AGENT,
    HostAuth,
    HttpClient,
    check_address,
)
from pm25map.predictors.fetch.login import Login
from pm25map.predictors.fetch.providers import Box, RemoteFile, first_day, last_of

MOST_GRANULES = 200_000

CHECKSUMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
"""As the catalogue names them, and as hashlib does; it may state others (CRC-32, Adler-32), which are not used."""


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        files: to fetch, in the order of their names.
        absent: what is not in the catalogue, and why.
    """

    files: tuple[RemoteFile, ...]
    absent: Mapping[str, str] = field(default_factory=dict)


def search(
    provider: Provider,
    periods: list[dt.date],
    variables: tuple[str, ...],
    tiles: tuple[str, ...],
    box: Box,
    client: HttpClient,
    base_url: str | None = None,
) -> SearchResult:
    """Search the catalogue for the files of some days and a place.

    Args:
        provider: with `search` and `name`.
        periods: first days of the files, as `periods_of`.
        variables: of the provider; ("",) where it has none.
        tiles: such as h08v05; none where it is not in tiles.
        box: around the place.
        client: gives the number of retries and the waits.
        base_url: of a mirror of the catalogue; NASA's own where None.

    Raises:
        BadFetch: the catalogue cannot be reached, or does not answer as it should.
        BadInstall: earthaccess is missing.
    """
    granules: list[Mapping[str, Any]] = []
    last = max(last_of(provider, first) for first in periods)
    # One collection a variable (ndvi), or one for all of them.
    for collection in sorted({provider.search["short_name"].format(variable=name) for name in variables}):
        granules += _granules(provider, collection, (periods[0], last), box, client, base_url)
    return choose(provider, granules, periods, variables, tiles)


def choose(
    provider: Provider,
    granules: Sequence[Mapping[str, Any]],
    periods: list[dt.date],
    variables: tuple[str, ...],
    tiles: tuple[str, ...],
) -> SearchResult:
    """Choose the granules that are needed; of two productions of the same granule the later.

    Args:
        granules: as the catalogue describes them (UMM-G).
        provider, periods, variables, tiles: as `search`.
    """
    wanted = {(day, variable, tile) for day in periods for variable in variables for tile in tiles or ("",)}
    chosen: dict[tuple[dt.date, str, str], RemoteFile] = {}
    for granule in granules:
        for url in _links(granule):
            match = re.fullmatch(provider.name, url.rsplit("/", 1)[1])
            if match is None:
                continue
            groups = match.groupdict()
            key = first_day(match), groups.get("variable") or "", groups.get("tile") or ""
            size, checksum = _stated(granule, match)
            file = RemoteFile(match["keep"], url, last_of(provider, key[0]), size, checksum)
            if key in wanted and (key not in chosen or chosen[key].name < file.name):
                chosen[key] = file
            break
    lacking = [" ".join((str(day), *filter(None, rest))) for day, *rest in sorted(wanted - set(chosen))]
    files = tuple(sorted(chosen.values(), key=lambda file: file.name))
    return SearchResult(files, dict.fromkeys(lacking, "not in NASA's catalogue"))


def _granules(
    provider: Provider,
    collection: str,
    span: tuple[dt.date, dt.date],
    box: Box,
    client: HttpClient,
    base_url: str | None,
) -> list[Mapping[str, Any]]:
    """Search for all granules of a collection that touch some days and a box."""
    try:
        import earthaccess  # noqa: PLC0415 - takes a second, and only NASA's sources need it
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"NASA's catalogue needs the package {error.name}. Run: pip install 'pm25map[fetch]'"
        ) from error
    query = earthaccess.DataGranules().short_name(collection).version(provider.search["version"])
    query = query.temporal(str(span[0]), str(span[1])).bounding_box(*box)
    if base_url is not None:
        check_address(base_url)
        query.mode(base_url.rstrip("/") + "/search/")
    # earthaccess's own session has no time limit and does not retry.
    query.session = _session(client)
    try:
        with warnings.catch_warnings():
            # It warns of how its own results will be used from version 1.0 on; here they are plain mappings.
            warnings.simplefilter("ignore", FutureWarning)
            return list(query.get(MOST_GRANULES))
    except RuntimeError as error:
        # earthaccess puts the whole answer into its error.
        status = getattr(getattr(error.__cause__, "response", None), "status_code", "an error")
        raise BadFetch(
            f"NASA's catalogue answers {status} to the search for {collection}: try again later"
        ) from None
    except (requests.RequestException, ValueError, KeyError) as error:
        raise BadFetch(
            f"NASA's catalogue cannot be searched for {collection} ({type(error).__name__}). Look at the network, and "
            "run the same command again"
        ) from None


def _session(client: HttpClient) -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    # No credentials go to the catalogue, whatever .netrc holds, and redirects are not followed.
    session.auth = HostAuth(Login())
    session.max_redirects = 0
    adapter = _Timed(max_retries=client.retries.new(raise_on_status=False))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Timed(HTTPAdapter):
    """An adapter that sets a time limit on every request."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, READ_SECONDS)
        return super().send(request, *args, **kwargs)


def _links(granule: Mapping[str, Any]) -> list[str]:
    """List the addresses of a granule's data, with a path and over http or https: no s3."""
    related = granule.get("umm", {}).get("RelatedUrls", [])
    urls = [str(link.get("URL", "")) for link in related if link.get("Type") == "GET DATA"]
    return [url for url in urls if re.match(r"https?://[^/]+/", url)]


def _stated(granule: Mapping[str, Any], match: re.Match[str]) -> tuple[int | None, str | None]:
    """Return the size and checksum that the catalogue states of a file; None where it does not."""
    stated = granule.get("umm", {}).get("DataGranule", {}).get("ArchiveAndDistributionInformation", [])
    named = [entry for entry in stated if entry.get("Name") in (match[0], match["keep"])]
    # Some collections call the only file "Not provided".
    entries = named or (stated if len(stated) == 1 else [])
    size = next((int(e["SizeInBytes"]) for e in entries if e.get("SizeInBytes")), None)
    for entry in entries:
        checksum = entry.get("Checksum", {})
        algorithm = CHECKSUMS.get(str(checksum.get("Algorithm", "")).upper())
        value = str(checksum.get("Value", "")).lower()
        if algorithm and re.fullmatch(r"[0-9a-f]{32,128}", value):
            return size, f"{algorithm}:{value}"
    return size, None

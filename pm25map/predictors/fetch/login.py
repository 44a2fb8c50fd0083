"""Credentials of Earthdata: where they are read, which hosts receive them, and how they are kept out of every text.

They come from EARTHDATA_TOKEN, from EARTHDATA_USERNAME and EARTHDATA_PASSWORD, or from the .netrc file, in this order.
The token goes to hosts of NASA over https alone, the password to NASA's login host alone; a redirect to any other
host carries neither.
"""

import base64
import logging
import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from pm25map.base.errors import BadInstall, LoginFailed

LOGIN_HOST = "urs.earthdata.nasa.gov"
TRUSTED_DOMAINS = ("earthdata.nasa.gov", "earthdatacloud.nasa.gov")
"""The hosts of the four collections, and NASA's login, are in these."""

WAYS = (
    "Set EARTHDATA_TOKEN (made at https://urs.earthdata.nasa.gov, Generate Token), or EARTHDATA_USERNAME and "
    "EARTHDATA_PASSWORD, or write a line for machine urs.earthdata.nasa.gov into ~/.netrc"
)


@dataclass(frozen=True)
class Login:
    """Credentials, and where they may go. None of them shows in its text.

    Attributes:
        token: bearer token; "" where there is none.
        username, password: of Earthdata; "" where only a token is known.
        mirror: scheme, host and port of a mirror on this machine, which the token may go to as well.
        where: what they were read from, for errors.
    """

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    mirror: str = ""
    where: str = ""

    def header(self, url: str) -> str | None:
        """Return the Authorization header for an address, None for a host that may not receive one."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme == "https" and host == LOGIN_HOST and self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return f"Basic {pair}"
        trusted = parts.scheme == "https" and any(
            host == domain or host.endswith(f".{domain}") for domain in TRUSTED_DOMAINS
        )
        if self.token and (trusted or (is_loopback(host) and origin(url) == self.mirror)):
            return f"Bearer {self.token}"
        return None

    def mask(self, text: str) -> str:
        """Mask credentials in a text: this login's own, those in addresses, and signatures of addresses."""
        for secret in (self.token, self.password):
            if secret:
                text = text.replace(secret, "***")
        text = re.sub(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+", r"\1 ***", text)
        return re.sub(r"https?://[^\s'\"<>)]+", lambda match: bare(match[0]), text)


def bare(url: str) -> str:
    """Return an address without user, password, query and fragment, any of which may hold a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def origin(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name alone: nothing is resolved."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def earthdata_login(base_url: str | None = None) -> Login:
    """Read the credentials; a user name and password are changed for a token at NASA's login.

    Args:
        base_url: of a mirror, where one is used instead of NASA; only one on this machine ever receives the token.

    Raises:
        LoginFailed: there are no credentials, they are refused, or the login cannot be reached.
        BadInstall: earthaccess is missing.
    """
    mirror = origin(base_url) if base_url and is_loopback(urlsplit(base_url).hostname or "") else ""
    token = os.environ.get("EARTHDATA_TOKEN", "").strip()
    if token:
        return Login(token, mirror=mirror, where="EARTHDATA_TOKEN")
    named = bool(os.environ.get("EARTHDATA_USERNAME") and os.environ.get("EARTHDATA_PASSWORD"))
    where = "EARTHDATA_USERNAME and EARTHDATA_PASSWORD" if named else ".netrc"
    token, username, password = _exchange("environment" if named else "netrc", where)
    return Login(token, username, password, mirror, where)


def _exchange(strategy: str, where: str) -> tuple[str, str, str]:
    """Exchange a user name and password for a token through earthaccess; return token, user name, password."""
    try:
        import earthaccess  # noqa: PLC0415 - takes a second, and only NASA's sources need it
        import requests  # noqa: PLC0415
        from earthaccess.exceptions import (  # noqa: PLC0415
            LoginAttemptFailure,
            LoginStrategyUnavailable,
        )
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"NASA's files need the package {error.name}. Run: pip install 'pm25map[fetch]'"
        ) from error
    auth = earthaccess.Auth()
    log = logging.getLogger("earthaccess")
    before = log.level
    # It logs the answer of the login as an error of its own; ours is one line.
    log.setLevel(logging.CRITICAL + 1)
    try:
        auth.login(strategy=strategy)
    except LoginStrategyUnavailable as error:
        raise LoginFailed(f"there are no Earthdata credentials. {WAYS}") from error
    except LoginAttemptFailure:
        # Without its cause: the answer of the login must not appear in a traceback.
        raise LoginFailed(
            f"Earthdata refuses the user name and password of {where}. Try them at https://{LOGIN_HOST}; a token in "
            "EARTHDATA_TOKEN goes before them"
        ) from None
    except (requests.RequestException, ValueError, KeyError) as error:
        raise LoginFailed(
            f"cannot log in at https://{LOGIN_HOST} ({type(error).__name__}). Look at the network, and run the same "
            "command again"
        ) from None
    finally:
        log.setLevel(before)
    if not auth.authenticated or not auth.token:
        raise LoginFailed(f"Earthdata gave no token for {where}. {WAYS}")
    return str(auth.token["access_token"]), auth.username or "", auth.password or ""

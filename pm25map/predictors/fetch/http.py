"""The HTTP client of a fetch: its user agent, which addresses it may request, redirects one by one, retries and waits.

Redirects are followed here and not by requests, so that every step is checked: its scheme, and whether its host
may receive the credentials.
"""

import importlib.metadata
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

from pm25map.base.errors import BadFetch
from pm25map.predictors.fetch.login import Login, bare, is_loopback

USER_AGENT = (
    f"pm25map/{importlib.metadata.version('pm25map')} (daily PM2.5 maps; "
    "https://doi.org/10.1080/15481603.2025.2594797)"
)
CONNECT_SECONDS, READ_SECONDS = 20, 60
MOST_REDIRECTS = 10
MOST_WAIT_SECONDS = 900
"""A server that asks for a longer wait is tried again by a later run."""

RETRIES = Retry(
    total=6,
    backoff_factor=1.0,
    backoff_jitter=1.0,
    backoff_max=60,
    status_forcelist=(408, 429, 500, 502, 503, 504),
)
"""Waits of 1, 2, 4 ... 60 s, and up to a random second more; a Retry-After header takes precedence."""


class Fault(Exception):
    """A failure that another attempt may avoid: a broken connection, an error of the server, a file that ended early.

    Attributes:
        response: of the server; None where there was none.
    """

    def __init__(self, why: str, response: requests.Response | None = None) -> None:
        super().__init__(why)
        self.response = response


class Stopped(Exception):
    """The user, or another file's fatal error, ended the whole fetch."""


class HostAuth(AuthBase):
    """Adds to a request the credentials of its own host; an explicit auth keeps requests from reading .netrc."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header where the host may receive it."""
        header = self._login.header(str(request.url))
        if header is not None:
            request.headers["Authorization"] = header
        return request


@dataclass
class HttpClient:
    """An HTTP client for one provider; may be shared by threads.

    Attributes:
        login: credentials; empty where none are needed.
        retries: how often, and how long to wait between.
        stop: set to end all waiting and reading.
    """

    login: Login = field(default_factory=Login)
    retries: Retry = field(default_factory=lambda: RETRIES)
    stop: threading.Event = field(default_factory=threading.Event)
    _sessions: threading.local = field(default_factory=threading.local, repr=False)

    def request(
        self, url: str, headers: dict[str, str] | None = None, *, method: str = "GET"
    ) -> requests.Response:
        """Send one request and follow redirects; the body is not read yet, and the caller closes the response.

        Raises:
            Fault: the host does not answer.
            BadFetch: the address, or one that it redirects to, may not be requested.
        """
        # Without this, Content-Length could be that of a compressed response.
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        check_address(url)
        for _ in range(MOST_REDIRECTS):
            try:
                response = self._session().request(
                    method,
                    url,
                    headers=sent,
                    auth=HostAuth(self.login),
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                raise Fault(f"{urlsplit(url).hostname} does not answer ({_cause(error)})") from error
            except requests.RequestException as error:
                raise BadFetch(self.login.mask(f"cannot ask {bare(url)} ({type(error).__name__})")) from None
            target = response.headers.get("Location")
            if not response.is_redirect or target is None:
                return response
            response.close()
            target = urljoin(url, target)
            _check_step(url, target)
            url = target
        raise BadFetch(f"{bare(url)} leads in a circle ({MOST_REDIRECTS} redirects): try again later")

    def wait(self, policy: Retry, fault: Fault, url: str) -> Retry:
        """Wait before another attempt, and return the retries that remain.

        Raises:
            BadFetch: there are no retries left, or the server asks for too long a pause.
            Stopped: the fetch ended meanwhile.
        """
        raw = fault.response.raw if fault.response is not None else None
        try:
            policy = policy.increment(
                "GET", bare(url), response=raw, error=None if raw is not None else fault
            )
            seconds = policy.get_retry_after(raw) if raw is not None else None
        except MaxRetryError:
            raise BadFetch(f"{fault}, {len(policy.history) + 1} times") from None
        except InvalidHeader:
            seconds = None
        if seconds is None:
            seconds = max(policy.get_backoff_time(), policy.backoff_factor)
        if seconds > MOST_WAIT_SECONDS:
            raise BadFetch(f"{fault}, and asks to wait for {seconds:.0f} s: run the same command after that")
        if self.stop.wait(seconds):
            raise Stopped
        return policy

    def _session(self) -> requests.Session:
        """Return this thread's session: requests does not promise that threads may share one."""
        session: Any = getattr(self._sessions, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = USER_AGENT
            self._sessions.session = session
        return session  # type: ignore[no-any-return]


def check_address(url: str) -> None:
    """Refuse an address that is not https, or http on this machine, or that holds a password.

    Raises:
        BadFetch: it may not be requested.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise BadFetch(f"{bare(url)} is not https: only a server on this machine may be reached by http")
    if "@" in parts.netloc:
        raise BadFetch(f"the address {bare(url)} holds a user or password: leave it out")


def _check_step(source: str, target: str) -> None:
    """Check a redirect: https stays https, and no server of the network redirects to this machine."""
    check_address(target)
    here = is_loopback(urlsplit(source).hostname or "")
    if not here and is_loopback(urlsplit(target).hostname or ""):
        raise BadFetch(f"{bare(source)} leads to this machine itself ({bare(target)}), which is refused")
    if urlsplit(source).scheme == "https" and urlsplit(target).scheme != "https":
        raise BadFetch(f"{bare(source)} leads from https to http ({bare(target)}), which is refused")


def _cause(error: BaseException) -> str:
    """Name the innermost reason of an error of requests, without its addresses."""
    reason: Any = error
    for _ in range(4):
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", ()) else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return type(reason).__name__

"""Connections to object stores: time limits, the provider's variables, and the errors when one fails."""

import datetime as dt
import importlib
import importlib.util
import os
import re
from typing import Any

from pm25map.base.errors import StoreUnreachable

_LIMITS = {"connect_timeout": "5s", "read_timeout": "15s"}
"""How long a server may be silent; by default a read may wait for ever."""

_RETRY_SECONDS = 10
"""For how long a request is retried. An operation that fails is reported in less than half a minute."""

_CLIENT = [
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "read_timeout",
    "timeout",
    "user_agent",
]
"""Settings of the connection that a provider's variables may give, such as AWS_ALLOW_HTTP or AWS_READ_TIMEOUT."""

_VARIABLES = {"s3": "AWS_", "s3a": "AWS_", "gs": "GOOGLE_"}
NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z ]*)?)")
_CODE = re.compile(r"<Code>(\w+)</Code>")


def connection(url: str) -> dict[str, Any]:
    """Return how to connect to the store of an address: time limits, and the settings in the provider's variables.

    Options that are given keep the library from reading those variables itself.
    """
    prefix = _VARIABLES.get(url.partition("://")[0], "AZURE_")
    named = {name: os.environ.get(f"{prefix}{name.upper()}") for name in _CLIENT}
    return {
        "client_options": _LIMITS | {name: value for name, value in named.items() if value},
        "retry_config": {"retry_timeout": dt.timedelta(seconds=_RETRY_SECONDS)},
    }


def remote_errors() -> tuple[type[Exception], ...]:
    """Return the errors that reading from an object store may raise; none where its package is absent."""
    if importlib.util.find_spec("obstore") is None:
        return ()
    base: type[Exception] = importlib.import_module("obstore.exceptions").BaseError
    return (base,)


def unreachable(address: str, error: Exception) -> StoreUnreachable:
    """Return the error of an object store that cannot be used, without the library's text: it may hold credentials."""
    text = str(error)
    if NO_BUCKET.search(text):
        why = "there is no such bucket. Make it, or correct the address"
    elif status := _STATUS.search(text):
        code = _CODE.search(text)
        why = (
            f"the server answers {status[1]}{f' ({code[1]})' if code else ''}. Check address and credentials"
        )
    else:
        why = "the server does not answer. Check address and network (AWS_ENDPOINT_URL ...)"
    return StoreUnreachable(f"cannot use {address}: {why}, then run the same command again")


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its class."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

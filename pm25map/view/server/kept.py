"""What a browser may keep of an answer: it asks each time whether the map is still the one that it has seen."""

import hashlib

from fastapi import Request
from fastapi.responses import Response

from pm25map import __version__
from pm25map.view.server.catalogue import Entry


def kept(entry: Entry) -> dict[str, str]:
    """Return the headers of an answer that holds as long as the files of a map stay as they are.

    A time to keep it would outlast a map that is replaced and served again under the same name.
    """
    of = repr((__version__, sorted((path.name, stamp) for path, stamp in entry.stamps.items())))
    return {"ETag": f'"{hashlib.sha256(of.encode()).hexdigest()[:32]}"', "Cache-Control": "no-cache"}


def unchanged(request: Request, entry: Entry) -> Response | None:
    """Answer a browser that has the answer already; None where it has not.

    Raises:
        BadMap: a file of the map is not as it was when the server started.
    """
    entry.check()
    headers = kept(entry)
    if headers["ETag"] not in request.headers.get("if-none-match", ""):
        return None
    return Response(status_code=304, headers=headers)

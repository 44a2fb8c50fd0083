#!/usr/bin/env bash
# obstore 0.12: giving any client option makes a store ignore the client settings of the environment.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "obstore==0.12.0"

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import http.server
import os
import sys
import threading
from importlib.metadata import version

import obstore
from obstore.store import S3Store

BODY = b"21 days"


class Bucket(http.server.BaseHTTPRequestHandler):
    """An object store on this machine, without TLS, that holds one object."""

    def do_GET(self):
        self.send_response(200)
        for name, value in {
            "Content-Length": str(len(BODY)),
            "ETag": '"1"',
            "Last-Modified": "Sat, 12 Sep 2020 00:00:00 GMT",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
    "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
}


def read(**options):
    try:
        return bytes(obstore.get(S3Store("bucket", **options), "map.tif").bytes())
    except Exception as error:  # noqa: BLE001 - what it raises is the question
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


retry = {"max_retries": 0}
plain = read(retry_config=retry)
timed = read(retry_config=retry, client_options={"timeout": "30s"})
both = read(retry_config=retry, client_options={"timeout": "30s", "allow_http": True})
print(f"version   obstore {version('obstore')}")
print("expected  a time limit is added to what the environment says (AWS_ALLOW_HTTP=true)")
print(f"seen      no option: {plain!r}; with a time limit: {timed!r}; with it and allow_http: {both!r}")
print("why       a server without TLS (MinIO on a cluster) works until somebody sets a time limit, and the message names")
print("          neither. pm25map sets limits, and therefore reads the environment's client settings itself.")
sys.exit(0 if plain == both == BODY and timed != BODY else 1)
PYTHON

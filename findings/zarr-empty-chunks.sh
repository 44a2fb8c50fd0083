#!/usr/bin/env bash
# zarr 3.1: a chunk that is written as all fill value has no file, and the setting against it is not kept with the array.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "zarr==3.1.6"

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import zarr


def files():
    return sorted(str(path.relative_to("days.zarr/c")) for path in Path("days.zarr/c").rglob("*") if path.is_file())


# Two days of one variable, a chunk a day, written by one who wants a file for each.
days = zarr.create_array(
    "days.zarr", shape=(2, 4), chunks=(1, 4), dtype="f4", fill_value=np.nan, config={"write_empty_chunks": True}
)
days[:] = np.nan
first = files()

# A later process opens the array and writes the first day again, with the same values.
again = zarr.open_array("days.zarr", mode="r+")
again[0] = np.full(4, np.nan, "f4")
later = files()
kept = "write_empty_chunks" in Path("days.zarr/zarr.json").read_text()
Path("days.zarr/c/1/0").unlink()
lost = zarr.open_array("days.zarr", mode="r")[1]

print(f"version   zarr {version('zarr')}")
print("expected  an array that was made to keep a file for every chunk goes on to do so")
print(f"seen      files at first {first}, after the same values were written by another process {later}; the setting is in "
      f"zarr.json: {kept}; a chunk whose file was deleted reads as {lost[0]}, without an error")
print("why       a chunk that was lost cannot be told from one that is empty: a table whose file went reads as 'no day'.")
print("          pm25map sets write_empty_chunks at every opening for writing, and keeps checksums of its tables.")
sys.exit(0 if len(first) == 2 and later == ["1/0"] and not kept and np.isnan(lost).all() else 1)
PYTHON

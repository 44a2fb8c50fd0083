#!/usr/bin/env bash
# us-atlas 3.0.1: one county of counties-10m.json has an empty outline, which every reader takes for valid.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent us-atlas@3.0.1 >/dev/null
tar -xzf us-atlas-3.0.1.tgz package/counties-10m.json
python3 -m venv venv
venv/bin/pip install --quiet "pyogrio==0.11.1" "geopandas==1.1.1" "shapely==2.1.2"

venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import geopandas as gpd

counties = gpd.read_file("package/counties-10m.json", layer="counties", engine="pyogrio")
empty = counties[counties.geometry.is_empty]
names = ", ".join(f"{row['name']} ({row['id']})" for _, row in empty.iterrows())
print(f"version   us-atlas 3.0.1, pyogrio {version('pyogrio')}, {len(counties):,} counties")
print("expected  a county of the table has an outline, or the table says that it has none")
print(f"seen      an empty polygon, valid and not missing: {names}")
print("why       nearly 15,000 people live in these 5 km2; a table of counties joined by outline loses them without a word,")
print("          and a mean over no cells is NaN. pm25map keeps the county, its people taken from block groups.")
sys.exit(0 if list(empty["id"]) == ["51610"] and empty.geometry.is_valid.all() and not empty.geometry.isna().any() else 1)
PYTHON

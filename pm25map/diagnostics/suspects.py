"""Suspect regions: ranked, named by state, with area and reason, as text and as GeoJSON."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from rasterio.features import shapes
from shapely.geometry import mapping, shape

from pm25map.diagnostics.finding import Field, Finding, Kind, Mask
from pm25map.grid import Block, Grid, state_of_cells, states
from pm25map.grid.areas import cell_areas
from pm25map.grid.grid import LONLAT

FAULTS: tuple[Kind, ...] = ("hole", "flat patch", "seam", "stripe")
"""Kinds that neither weather nor cities cause; listed first."""

_SIDE = 0.22
"""Share of a state's height and width off its middle from which a part of it is northern, eastern and so on."""

_SECOND = 0.25
"""Share of the cells from which a second state is named."""


@dataclass(frozen=True, eq=False)
class Suspect:
    """A finding with its name and place.

    Attributes:
        rank: 1 is the first to look at.
        name: part of a state, or two states.
        area_km2: of its cells.
        risk: mean artifact risk of its cells, 0 to 1; NaN where it is unknown.
        lon, lat: degrees, its middle.
        finding: with its mask, size and reason.
    """

    rank: int
    name: str
    area_km2: float
    risk: float
    lon: float
    lat: float
    finding: Finding

    @property
    def words(self) -> str:
        """Return a description in one sentence."""
        return f"{self.name}, {self.area_km2:,.0f} km2: {self.finding.words}"


def rank_suspects(findings: list[Finding], risk: Field | None, grid: Grid, view: Block) -> list[Suspect]:
    """Name and rank findings: faults first, by strength; then effects of the encoder, by size times area.

    Args:
        findings: on the view.
        risk: (y, x) of the view; None where it is unknown.
        grid, view: where the findings lie.
    """
    areas = cell_areas(grid)
    owner = state_of_cells(grid)

    def key(finding: Finding) -> tuple[bool, float]:
        fault = finding.kind in FAULTS
        heavy = (
            finding.strength if fault else finding.size_ugm3 * float(areas[view.slices][finding.mask].sum())
        )
        return not fault, -heavy

    suspects = []
    for rank, finding in enumerate(sorted(findings, key=key), start=1):
        row, col = np.nonzero(finding.mask)
        row, col = row + view.row, col + view.col
        known = np.array([]) if risk is None else risk[finding.mask & np.isfinite(risk)]
        x, y = grid.xy()
        lon, lat = Transformer.from_crs(grid.crs, LONLAT, always_xy=True).transform(
            float(np.median(x[col])), float(np.median(y[row]))
        )
        mean = float(known.mean()) if known.size else float("nan")
        name = _name(owner, row, col)
        suspects.append(
            Suspect(rank, name, float(areas[row, col].sum()), mean, float(lon), float(lat), finding)
        )
    return suspects


def to_geojson(suspects: list[Suspect], grid: Grid, view: Block) -> str:
    """Write suspects as a GeoJSON FeatureCollection (RFC 7946: degrees, WGS84), in their order."""
    features = [
        {
            "type": "Feature",
            "geometry": mapping(_outline(suspect.finding.mask, grid, view)),
            "properties": {
                "rank": suspect.rank,
                "kind": suspect.finding.kind,
                "name": suspect.name,
                "reason": suspect.finding.words,
                "area_km2": round(suspect.area_km2),
                "size_ugm3": _number(suspect.finding.size_ugm3, 2),
                "strength": _number(suspect.finding.strength, 2),
                "artifact_risk": _number(suspect.risk, 3),
                "lon": round(suspect.lon, 3),
                "lat": round(suspect.lat, 3),
            },
        }
        for suspect in suspects
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


def _outline(mask: Mask, grid: Grid, view: Block) -> Any:
    affine = grid.affine
    corner = affine * affine.translation(view.col, view.row)
    rings = [shape(s) for s, value in shapes(mask.astype(np.uint8), mask=mask, transform=corner) if value]
    turn = Transformer.from_crs(grid.crs, LONLAT, always_xy=True)
    outline = shapely.transform(
        shapely.union_all(rings), lambda points: np.column_stack(turn.transform(points[:, 0], points[:, 1]))
    )
    return shapely.set_precision(outline, 1e-4)


def _name(owner: Any, row: Any, col: Any) -> str:
    """Return the states that hold some cells, and the part of the state where one holds nearly all."""
    frame = states()
    inside = owner[row, col]
    inside = inside[inside < len(frame)]
    if not inside.size:
        return "an unnamed region"
    counts = np.bincount(inside, minlength=len(frame))
    order = np.argsort(-counts)
    first = str(frame["name"].iloc[int(order[0])])
    others = [str(frame["name"].iloc[int(i)]) for i in order[1:4] if counts[i] >= _SECOND * inside.size]
    if others:
        return " and ".join([", ".join([first, *others[:-1]]), others[-1]])
    rows, cols = np.nonzero(owner == order[0])
    up = (np.median(row) - rows.min()) / max(1, np.ptp(rows)) - 0.5
    right = (np.median(col) - cols.min()) / max(1, np.ptp(cols)) - 0.5
    part = ("north" if up < -_SIDE else "south" if up > _SIDE else "") + (
        "west" if right < -_SIDE else "east" if right > _SIDE else ""
    )
    return f"{part}ern {first}" if part else f"central {first}"


def _number(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None

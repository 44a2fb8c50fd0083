"""Diagnose one day's map: predict it with the bands that diagnostics need in the same pass, then look for faults."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pm25map.diagnostics.encoder import EncoderArtifacts, encoder_artifacts
from pm25map.diagnostics.finding import Field, Finding, Mask
from pm25map.diagnostics.seams import find_seams, tiles_of_blocks, tiles_of_modis
from pm25map.diagnostics.stripes import find_flat_patches, find_holes, find_stripes
from pm25map.diagnostics.suspects import Suspect, rank_suspects
from pm25map.grid import Grid
from pm25map.model.card import Model
from pm25map.places.capsules import change_map
from pm25map.places.catalogue import encoder
from pm25map.places.gallery import photo_density
from pm25map.places.smooth import NEUTRAL_KM
from pm25map.raster.bands import NEUTRAL, Band
from pm25map.raster.block_bands import BandSpec, BlockDay
from pm25map.raster.estimator import Options
from pm25map.raster.inputs import Inputs
from pm25map.raster.neutral import NeutralBand
from pm25map.raster.part import Part
from pm25map.raster.predict import DayMap, predict_day

PRIOR = Band("pm25_prior", "PM2.5 that the place makes: estimate less that at a neutral place", "ug m-3")
TEXTURE = Band("encoder_texture", "Root mean square of the prior's waves below 200 km", "ug m-3")
EXCESS = Band("spectral_excess", "Share of the energy below 200 km that predictors do not justify", "1")
RIPPLE = Band("ripple", "One wave of the encoder's lengths stands out", "1")
RISK = Band("artifact_risk", "Risk that the pattern is an artifact of the location encoder, 0 to 1", "1")
CHANGE = Band("embedding_change", "Change of the finest part of the place vector", "km-1")
PHOTOS = Band("photo_density", "Photos of GeoCLIP's gallery around the cell, per 1000 km2", "1")
MONITOR_KM = Band("monitor_distance", "Distance to the nearest monitor of the day", "km")
FAULT = Band("fault", "1 where a seam, a stripe or a flat patch lies", "1", whole=True)
INTERPOLATION = Band(
    "pm25_interpolated", "Mean of the neighbours' estimates that the model was given", "ug m-3"
)

_LONG_STRIPE = 40
"""Cells of a stripe in what predictors justify: valleys make lines too, and shorter ones."""

_ESTIMATES = ("neighbours_idw9", "neighbours_kriging", "neighbours_kriging_raw", "neighbours_calm")
_DISTANCE = "neighbours_distance"


@dataclass(frozen=True)
class WindowBands:
    """Names the bands that diagnostics read from the window to compare a map with."""

    def check(self, model: Model) -> None:
        """Do nothing: a model that reads no neighbours has none of these bands."""

    def open(self, inputs: Inputs) -> "FromWindow":
        """Open the reader of these bands."""
        features = inputs.model.card.scaler.features
        return FromWindow(tuple(name for name in (*_ESTIMATES, _DISTANCE) if name in features))


@dataclass(frozen=True)
class FromWindow:
    """Reads from the estimated day the bands that diagnostics compare a map with: a BlockBands.

    It reads values before scaling: the scaler clips, and its inverse would give too little in dense smoke.

    Attributes:
        raw_features: those of the model among the neighbours' estimates and the distance to the nearest monitor.
    """

    raw_features: tuple[str, ...]

    @property
    def bands(self) -> tuple[Band, ...]:
        """Return the bands that the model's features allow."""
        return (
            *((INTERPOLATION,) if self._estimates else ()),
            *((MONITOR_KM,) if _DISTANCE in self.raw_features else ()),
        )

    @property
    def raw_days(self) -> int:
        """Return 1: the estimated day alone is compared."""
        return 1

    @property
    def checksum(self) -> str:
        """Return nothing: the predictors alone decide the values."""
        return ""

    def __call__(self, at: BlockDay) -> Mapping[Band, Field]:
        """Return the day's interpolation (ug/m3) and distance to monitors (km); NaN where they are missing."""
        fields: dict[Band, Field] = {}
        for band in self.bands:
            names = self._estimates if band is INTERPOLATION else (_DISTANCE,)
            neighbours = at.unscaled(names, 1)[:, 0]  # (cell, feature)
            fields[band] = np.asarray(np.maximum(neighbours.mean(axis=1), 0), dtype=np.float32)
        return fields

    @property
    def _estimates(self) -> tuple[str, ...]:
        return tuple(name for name in self.raw_features if name != _DISTANCE)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The diagnostics of one day's map.

    Attributes:
        day_map: the map, as predict_day returns it.
        bands: diagnostics, float32 (y, x) of the map's view.
        suspects: ranked.
        scores: of the whole map, by name.
        neutral: a description of the neutral place; empty where the model takes no place.
    """

    day_map: DayMap
    bands: dict[Band, Field]
    suspects: list[Suspect]
    scores: dict[str, Any]
    neutral: str


def diagnose_day(
    inputs: Inputs, day: dt.date, part: Part | None = None, options: Options | None = None
) -> Diagnosis:
    """Predict a day and diagnose it in the same pass.

    Args:
        inputs: opened and checked; their further bands stand in the map's `more`.
        day: to estimate.
        part: of the grid; all of it where None.
        options: how to compute.

    Raises:
        As predict_day.
    """
    with_comparison = replace(inputs, bands=(*comparison_bands(inputs), *inputs.bands))
    day_map = predict_day(with_comparison, day, part, options)
    requested = (part or Part()).asked(inputs.grid)[day_map.view.slices]
    block_size = options.block_size if options else None
    return examine(day_map, inputs.grid, requested, inputs.model.card.place.encoder, block_size)


def comparison_bands(inputs: Inputs) -> tuple[BandSpec, ...]:
    """Return the bands that `examine` compares the estimate with: at a neutral place, and from the window."""
    return (*((NeutralBand(),) if inputs.places else ()), WindowBands())


def examine(
    day_map: DayMap, grid: Grid, requested: Mask, encoder_name: str, block_size: int | None = None
) -> Diagnosis:
    """Look for artifacts and faults in a map that was predicted with its comparison bands.

    Args:
        day_map: with the bands NEUTRAL (of a model with a place), INTERPOLATION and MONITOR_KM where it has them.
        grid: of the map.
        requested: bool (y, x) of the map's view, the cells that were to be estimated.
        encoder_name: of the model.
        block_size: side of the blocks of the prediction; the grid's where None.
    """
    view, pm25 = day_map.view, day_map.pm25
    step_km = grid.step[0] / 1000
    neutral = day_map.more.get(NEUTRAL)
    monitor_km = day_map.more.get(MONITOR_KM)
    photos = change = None
    if neutral is not None:
        photos = photo_density(grid)[view.slices] if encoder_name == "geoclip" else None
        change = change_map(encoder(encoder_name), grid)[:, *view.slices]
    bands: dict[Band, Field] = {}
    scores: dict[str, Any] = {}
    findings: list[Finding] = []
    risk = None
    if neutral is not None and change is not None:
        artifacts = encoder_artifacts(
            pm25, neutral, requested, step_km, photos=photos, monitor_km=monitor_km, change=change[-1]
        )
        bands |= {
            PRIOR: artifacts.prior,
            TEXTURE: artifacts.texture,
            EXCESS: artifacts.excess,
            RIPPLE: artifacts.ripple,
            RISK: artifacts.risk,
            CHANGE: np.where(requested, change[-1], np.nan).astype(np.float32),
        }
        findings += artifacts.findings
        risk = artifacts.risk
        scores |= _encoder_scores(artifacts, change, requested)
    faults = find_faults(day_map, grid, requested, block_size or grid.block_size)
    findings += faults
    bands[FAULT] = np.where(np.isfinite(pm25), 0.0, np.nan).astype(np.float32)
    for fault in faults:
        bands[FAULT][fault.mask & np.isfinite(pm25)] = 1.0
    bands |= {
        band: values for band, values in ((MONITOR_KM, monitor_km), (PHOTOS, photos)) if values is not None
    }
    if PHOTOS in bands:
        bands[PHOTOS] = np.where(requested, bands[PHOTOS], np.nan).astype(np.float32)
    scores |= _fault_scores(faults, requested)
    words = f"mean of the place vectors around, Gaussian of {NEUTRAL_KM:g} km" if neutral is not None else ""
    return Diagnosis(day_map, bands, rank_suspects(findings, risk, grid, view), scores, words)


def find_faults(day_map: DayMap, grid: Grid, requested: Mask, block_size: int) -> list[Finding]:
    """Find seams, stripes, flat patches and holes."""
    pm25, view = day_map.pm25, day_map.view
    justified = day_map.more.get(NEUTRAL, day_map.more.get(INTERPOLATION))
    with np.errstate(invalid="ignore", divide="ignore"):
        # What the predictors justify is taken out first: plumes and mountains are no seams.
        value = np.log1p(pm25) - (0 if justified is None else np.log1p(justified))
    level = (pm25 + 1).astype(np.float32)
    blocks = tiles_of_blocks(grid.shape, block_size)[view.slices]
    lon, lat = (np.full(grid.shape, np.nan) for _ in range(2))
    lon[grid.land], lat[grid.land] = grid.lonlat()
    modis = tiles_of_modis(lon, lat)[view.slices]
    faults = find_holes(pm25, requested) + find_flat_patches(pm25, requested)
    for tiles, what in ((blocks, "the blocks of the prediction"), (modis, "the MODIS tiles")):
        faults += find_seams(value.astype(np.float32), level, requested, tiles, what)
    faults += find_stripes(value.astype(np.float32), level, requested)
    if NEUTRAL in day_map.more and INTERPOLATION in day_map.more:
        # A fault of the predictors is in both estimates, and their ratio does not show it.
        with np.errstate(invalid="ignore"):
            plain = np.log1p(day_map.more[NEUTRAL]) - np.log1p(day_map.more[INTERPOLATION])
        marked = np.any([f.mask for f in faults], axis=0) if faults else np.zeros_like(requested)
        again = find_stripes(plain.astype(np.float32), level, requested, caution=1.3, shortest=_LONG_STRIPE)
        for tiles, what in ((blocks, "the blocks of the prediction"), (modis, "the MODIS tiles")):
            again += find_seams(plain.astype(np.float32), level, requested, tiles, what, caution=1.6)
        faults += [f for f in again if not (f.mask & marked).any()]
    return faults


def _encoder_scores(artifacts: EncoderArtifacts, change: Field, requested: Mask) -> dict[str, Any]:
    justified, place = artifacts.energy["justified"], artifacts.energy["place"]
    known = np.isfinite(artifacts.risk)
    return {
        "artifact_risk_mean": _rounded(np.nanmean(artifacts.risk)),
        "artifact_risk_share_above_half": _rounded((artifacts.risk[known] > 0.5).mean()),
        "spectral_excess": _rounded(
            sum(list(place.values())[:3]) / max(sum(list(justified.values())[:3]), 1e-12)
        ),
        "energy_by_wavelength": {
            name: {band: _rounded(value) for band, value in energy.items()}
            for name, energy in artifacts.energy.items()
        },
        "texture_ugm3_mean": _rounded(np.nanmean(artifacts.texture)),
        "prior_ugm3_mean": _rounded(np.nanmean(artifacts.prior)),
        "prior_ugm3_rms": _rounded(np.sqrt(np.nanmean(artifacts.prior**2))),
        "parts_mean": {name: _rounded(np.nanmean(part)) for name, part in artifacts.parts.items()},
        "embedding_change_per_km": [_rounded(np.nanmean(part[requested])) for part in change],
    }


def _fault_scores(faults: list[Finding], requested: Mask) -> dict[str, Any]:
    """Sum up each kind of fault: how many, and the share of the land in it."""
    by_kind = {}
    for kind in ("seam", "stripe", "flat patch", "hole"):
        masks = [fault.mask for fault in faults if fault.kind == kind]
        share = float(np.any(masks, axis=0)[requested].mean()) if masks else 0.0
        by_kind[kind.replace(" ", "_")] = {"count": len(masks), "land_share": _rounded(share)}
    return {"faults": by_kind}


def _rounded(value: Any) -> float:
    return float(f"{float(value):.5g}")

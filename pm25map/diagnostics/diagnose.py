"""Diagnose one day's map: predict it with what its diagnostics need in the same pass, then look for what is wrong."""

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
    """Names what diagnostics take from the window to compare a map with."""

    def check(self, model: Model) -> None:
        """Do nothing: a model that reads no neighbours has none of these bands."""

    def open(self, inputs: Inputs) -> "FromWindow":
        """Make what takes them from the window."""
        features = inputs.model.card.scaler.features
        return FromWindow(tuple(name for name in (*_ESTIMATES, _DISTANCE) if name in features))


@dataclass(frozen=True)
class FromWindow:
    """Takes from the estimated day what diagnostics compare a map with: a BlockBands.

    It reads values before scaling: the scaler clips, and its inverse would give too little in dense smoke.

    Attributes:
        raw_features: those of the model among the neighbours' estimates and the distance to the nearest monitor.
    """

    raw_features: tuple[str, ...]

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name what the model's features allow."""
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
        """Return the day's interpolation (ug/m3) and distance to monitors (km); NaN where the predictors lack them."""
        found: dict[Band, Field] = {}
        for band in self.bands:
            names = self._estimates if band is INTERPOLATION else (_DISTANCE,)
            held = at.unscaled(names, 1)[:, 0]  # (cell, feature)
            found[band] = np.asarray(np.maximum(held.mean(axis=1), 0), dtype=np.float32)
        return found

    @property
    def _estimates(self) -> tuple[str, ...]:
        return tuple(name for name in self.raw_features if name != _DISTANCE)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found in one day's map.

    Attributes:
        made: the map, as predict_day gives it.
        bands: diagnostics, float32 (y, x) of the map's view.
        suspects: ranked.
        scores: of the whole map, by name.
        neutral: what the neutral place is, in words; empty where the model takes no place.
    """

    made: DayMap
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
    wanted = replace(inputs, bands=(*comparison_bands(inputs), *inputs.bands))
    made = predict_day(wanted, day, part, options)
    asked = (part or Part()).asked(inputs.grid)[made.view.slices]
    block_size = options.block_size if options else None
    return examine(made, inputs.grid, asked, inputs.model.card.place.encoder, block_size)


def comparison_bands(inputs: Inputs) -> tuple[BandSpec, ...]:
    """Name the bands that `examine` compares the estimate with: at a neutral place, and from the window."""
    return (*((NeutralBand(),) if inputs.places else ()), WindowBands())


def examine(
    made: DayMap, grid: Grid, asked: Mask, encoder_name: str, block_size: int | None = None
) -> Diagnosis:
    """Look for what is wrong in a map that was predicted with its diagnostics.

    Args:
        made: with the bands NEUTRAL (of a model with a place), INTERPOLATION and MONITOR_KM where it has them.
        grid: of the map.
        asked: bool (y, x) of the map's view, the cells that were to be estimated.
        encoder_name: of the model.
        block_size: side of the blocks of the prediction; the grid's where None.
    """
    view, pm25 = made.view, made.pm25
    step_km = grid.step[0] / 1000
    neutral = made.more.get(NEUTRAL)
    monitor_km = made.more.get(MONITOR_KM)
    photos = change = None
    if neutral is not None:
        photos = photo_density(grid)[view.slices] if encoder_name == "geoclip" else None
        change = change_map(encoder(encoder_name), grid)[:, *view.slices]
    bands: dict[Band, Field] = {}
    scores: dict[str, Any] = {}
    findings: list[Finding] = []
    risk = None
    if neutral is not None and change is not None:
        found = encoder_artifacts(
            pm25, neutral, asked, step_km, photos=photos, monitor_km=monitor_km, change=change[-1]
        )
        bands |= {
            PRIOR: found.prior,
            TEXTURE: found.texture,
            EXCESS: found.excess,
            RIPPLE: found.ripple,
            RISK: found.risk,
            CHANGE: np.where(asked, change[-1], np.nan).astype(np.float32),
        }
        findings += found.findings
        risk = found.risk
        scores |= _encoder_scores(found, change, asked)
    faults = find_faults(made, grid, asked, block_size or grid.block_size)
    findings += faults
    bands[FAULT] = np.where(np.isfinite(pm25), 0.0, np.nan).astype(np.float32)
    for fault in faults:
        bands[FAULT][fault.mask & np.isfinite(pm25)] = 1.0
    bands |= {
        band: values for band, values in ((MONITOR_KM, monitor_km), (PHOTOS, photos)) if values is not None
    }
    if PHOTOS in bands:
        bands[PHOTOS] = np.where(asked, bands[PHOTOS], np.nan).astype(np.float32)
    scores |= _fault_scores(faults, asked)
    words = f"mean of the place vectors around, Gaussian of {NEUTRAL_KM:g} km" if neutral is not None else ""
    return Diagnosis(made, bands, rank_suspects(findings, risk, grid, view), scores, words)


def find_faults(made: DayMap, grid: Grid, asked: Mask, block_size: int) -> list[Finding]:
    """Find seams, stripes, flat patches and holes."""
    pm25, view = made.pm25, made.view
    given = made.more.get(NEUTRAL, made.more.get(INTERPOLATION))
    with np.errstate(invalid="ignore", divide="ignore"):
        # What the predictors justify is taken out first: plumes and mountains are no seams.
        value = np.log1p(pm25) - (0 if given is None else np.log1p(given))
    level = (pm25 + 1).astype(np.float32)
    blocks = tiles_of_blocks(grid.shape, block_size)[view.slices]
    lon, lat = (np.full(grid.shape, np.nan) for _ in range(2))
    lon[grid.land], lat[grid.land] = grid.lonlat()
    modis = tiles_of_modis(lon, lat)[view.slices]
    found = find_holes(pm25, asked) + find_flat_patches(pm25, asked)
    for tiles, what in ((blocks, "the blocks of the prediction"), (modis, "the MODIS tiles")):
        found += find_seams(value.astype(np.float32), level, asked, tiles, what)
    found += find_stripes(value.astype(np.float32), level, asked)
    if NEUTRAL in made.more and INTERPOLATION in made.more:
        # A fault of the predictors is in both estimates, and their ratio does not show it.
        with np.errstate(invalid="ignore"):
            plain = np.log1p(made.more[NEUTRAL]) - np.log1p(made.more[INTERPOLATION])
        seen = np.any([f.mask for f in found], axis=0) if found else np.zeros_like(asked)
        again = find_stripes(plain.astype(np.float32), level, asked, caution=1.3, shortest=_LONG_STRIPE)
        for tiles, what in ((blocks, "the blocks of the prediction"), (modis, "the MODIS tiles")):
            again += find_seams(plain.astype(np.float32), level, asked, tiles, what, caution=1.6)
        found += [f for f in again if not (f.mask & seen).any()]
    return found


def _encoder_scores(found: EncoderArtifacts, change: Field, asked: Mask) -> dict[str, Any]:
    justified, place = found.energy["justified"], found.energy["place"]
    known = np.isfinite(found.risk)
    return {
        "artifact_risk_mean": _rounded(np.nanmean(found.risk)),
        "artifact_risk_share_above_half": _rounded((found.risk[known] > 0.5).mean()),
        "spectral_excess": _rounded(
            sum(list(place.values())[:3]) / max(sum(list(justified.values())[:3]), 1e-12)
        ),
        "energy_by_wavelength": {
            name: {band: _rounded(value) for band, value in energy.items()}
            for name, energy in found.energy.items()
        },
        "texture_ugm3_mean": _rounded(np.nanmean(found.texture)),
        "prior_ugm3_mean": _rounded(np.nanmean(found.prior)),
        "prior_ugm3_rms": _rounded(np.sqrt(np.nanmean(found.prior**2))),
        "parts_mean": {name: _rounded(np.nanmean(part)) for name, part in found.parts.items()},
        "embedding_change_per_km": [_rounded(np.nanmean(part[asked])) for part in change],
    }


def _fault_scores(faults: list[Finding], asked: Mask) -> dict[str, Any]:
    """Sum up each kind of fault: how many, and the share of the land in it."""
    found = {}
    for kind in ("seam", "stripe", "flat patch", "hole"):
        masks = [fault.mask for fault in faults if fault.kind == kind]
        share = float(np.any(masks, axis=0)[asked].mean()) if masks else 0.0
        found[kind.replace(" ", "_")] = {"count": len(masks), "land_share": _rounded(share)}
    return {"faults": found}


def _rounded(value: Any) -> float:
    return float(f"{float(value):.5g}")

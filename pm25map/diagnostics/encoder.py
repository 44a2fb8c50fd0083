"""Artifacts of the location encoder in a map: the part of the estimate due to the place, and how fine it is.

The same window is estimated at the place and at a neutral one, the mean of the region's places. Their ratio is
the encoder's doing, whatever the smoke of the day; predictors justify the rest.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pm25map.diagnostics.finding import Field, Finding, Mask
from pm25map.diagnostics.ripples import find_ripples
from pm25map.grid.spectrum import local_rms, low_pass, masked_mean, spectral_profile

LONGEST_KM = 200.0
"""Waves shorter than this are GeoCLIP's finest capsule (17 to 200 km, reference study)."""

AROUND_KM = 50.0
"""Standard deviation of the weights in a local mean square."""

USUAL_TEXTURE = 0.06
"""Texture, as a natural logarithm, that gives a texture part of one half: over CONUS the mean is 0.04."""

TEXTURE, TEXTURE_UGM3 = 0.09, 0.5
"""A place is suspect where the texture is above both: 9 % of the level, twice the usual; and ug m-3."""

PRIOR, PRIOR_UGM3 = 0.20, 1.0
"""The place outweighs the day where it moves the estimate by more than both: a share of it, and ug m-3."""

PRIOR_KM = 90.0
"""The prior is judged without its texture: waves shorter than this are removed first."""

SMALLEST_KM2 = 2_500.0
"""Areas smaller than this are not listed."""

HALF_PHOTOS, HALF_KM = 1.0, 100.0
"""Photos per 1,000 km2, and km to the nearest monitor, at which support is one half."""

HALF_CHANGE = 0.05
"""Change of the place vector per km that counts one half: over CONUS the median of GeoCLIP."""

WEIGHTS = {"change": 0.2, "photos": 0.4, "monitors": 0.4}
"""Weights of the kinds of missing support."""


@dataclass(frozen=True, eq=False)
class EncoderArtifacts:
    """Effects of the encoder on a map; all fields float32 (y, x), NaN off land.

    Attributes:
        prior: ug m-3, the estimate less that at a neutral place.
        excess: 0 to 1, share of the energy below LONGEST_KM that predictors do not justify.
        texture: ug m-3, local root mean square of the prior's waves below LONGEST_KM.
        ripple: 0 to 1, where one wave stands out.
        parts: 0 to 1 each: texture, change, photos, monitors; those that are known.
        risk: 0 to 1, 1 - (1 - ripple)(1 - texture part x mean missing support).
        findings: ripples, textures and priors that are suspect.
        energy: by wavelength band, in squared natural logarithms: of the map, and of the estimate at a neutral place.
    """

    prior: Field
    excess: Field
    texture: Field
    ripple: Field
    parts: dict[str, Field]
    risk: Field
    findings: list[Finding]
    energy: dict[str, dict[str, float]]


def encoder_artifacts(
    pm25: Field,
    neutral: Field,
    land: Mask,
    step_km: float,
    *,
    photos: Field | None = None,
    monitor_km: Field | None = None,
    change: Field | None = None,
) -> EncoderArtifacts:
    """Measure the effects of the encoder on a map.

    Args:
        pm25: (y, x), ug m-3, NaN where there is no estimate.
        neutral: the same at a neutral place.
        land: bool (y, x).
        step_km: side of a cell.
        photos: (y, x) per 1,000 km2, where the encoder has any.
        monitor_km: (y, x) to the nearest monitor of the day.
        change: (y, x) of the place vector per km.
    """
    known = land & np.isfinite(pm25) & np.isfinite(neutral)
    with np.errstate(invalid="ignore", divide="ignore"):
        # One is added so that a tenth of a microgram in the cleanest air is no great ratio.
        ratio = (np.log1p(pm25) - np.log1p(neutral)).astype(np.float32)
        justified = np.log1p(neutral).astype(np.float32)
    level = (pm25 + 1).astype(np.float32)
    cells = AROUND_KM / step_km
    fine = local_rms(ratio - low_pass(ratio, known, LONGEST_KM, step_km), known, cells)
    given = local_rms(justified - low_pass(justified, known, LONGEST_KM, step_km), known, cells)
    # The floor of 1 % keeps a field without any waves from having an excess of rounding errors.
    excess = fine**2 / (fine**2 + given**2 + 1e-4)
    near = masked_mean(np.where(known, level, 0), known, cells)
    ripples = find_ripples(ratio, level, known, step_km)
    ripple = np.zeros(land.shape, dtype=np.float32)
    for finding in ripples:
        height = min(1.0, 0.5 + 0.25 * finding.strength)
        ripple[finding.mask] = np.maximum(ripple[finding.mask], height)
    parts = {"texture": fine / (fine + USUAL_TEXTURE)}
    if change is not None:
        parts["change"] = change / (change + HALF_CHANGE)
    if photos is not None:
        parts["photos"] = HALF_PHOTOS / (photos + HALF_PHOTOS)
    if monitor_km is not None:
        parts["monitors"] = monitor_km / (monitor_km + HALF_KM)
    risk = 1 - (1 - ripple) * (1 - parts["texture"] * _missing_support(parts, land))
    prior = pm25 - neutral
    findings = [
        *ripples,
        *_textures(fine, near, known, step_km),
        *_priors(ratio, prior, known, step_km),
    ]
    energy = {
        name: _by_band(field, known, step_km)
        for name, field in {"map": np.log1p(pm25), "justified": justified, "place": ratio}.items()
    }

    def on_land(field: Field) -> Field:
        return np.where(known, field, np.nan).astype(np.float32)

    return EncoderArtifacts(
        on_land(prior),
        on_land(excess),
        on_land(fine * near),
        on_land(ripple),
        {name: on_land(part) for name, part in parts.items()},
        on_land(risk),
        findings,
        energy,
    )


def _missing_support(parts: dict[str, Field], land: Mask) -> Field:
    """Average the kinds of missing support that are known; one half where none is."""
    known_parts = [name for name in WEIGHTS if name in parts]
    if not known_parts:
        return np.full(land.shape, 0.5, dtype=np.float32)
    total = sum(WEIGHTS[name] for name in known_parts)
    mean: Field = np.asarray(
        sum(WEIGHTS[name] * parts[name] for name in known_parts) / total, dtype=np.float32
    )
    return mean


def _by_band(field: Field, known: Mask, step_km: float) -> dict[str, float]:
    profile = spectral_profile(field, known, step_km)
    ends = [2 * step_km, *profile.cutoffs_km]
    names = [f"{a:g}-{b:g} km" for a, b in itertools.pairwise(ends)] + [f"over {ends[-1]:g} km"]
    return dict(zip(names, profile.energy, strict=True))


def _textures(fine: Field, near: Field, known: Mask, step_km: float) -> list[Finding]:
    findings = []
    strong = known & (fine >= TEXTURE) & (fine * near >= TEXTURE_UGM3)
    for mask in _areas(strong, step_km):
        size, share = float((fine * near)[mask].mean()), float(fine[mask].mean())
        words = (
            f"the location encoder alone makes neighbouring cells differ by {share:.0%} ({size:.1f} ug/m3), "
            "twice as much as usual"
        )
        findings.append(Finding("texture", mask, size, share / TEXTURE, words))
    return findings


def _priors(ratio: Field, prior: Field, known: Mask, step_km: float) -> list[Finding]:
    """Find areas where the place, not the day, decides the value; raised and lowered ones separately."""
    share, size = (low_pass(field, known, PRIOR_KM, step_km) for field in (ratio, prior))
    strong = known & (np.abs(share) >= np.log1p(PRIOR)) & (np.abs(size) >= PRIOR_UGM3)
    findings = []
    for sign, verb in ((1, "raises"), (-1, "lowers")):
        for mask in _areas(strong & (np.sign(size) == sign), step_km):
            moved, by = float(np.abs(size[mask]).mean()), float(np.abs(np.expm1(share[mask])).mean())
            words = f"the place, not the day, {verb} the estimate by {moved:.1f} ug/m3 ({by:.0%})"
            findings.append(Finding("prior", mask, moved, by / PRIOR, words))
    return findings


def _areas(mask: Mask, step_km: float) -> list[Mask]:
    """List the connected areas that are large enough."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * step_km**2
    return [labels == number for number in range(1, count + 1) if sizes[number] >= SMALLEST_KM2]

"""Ripples: waves of one length and direction that the predictors do not justify.

What the place adds to an estimate is a texture of many short waves. One wave that stands out of it by far, over
some hundred kilometres, is no texture: it is looked for window by window, in the wavelengths of the encoder.
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from pm25map.diagnostics.finding import Field, Finding, Mask
from pm25map.grid.spectrum import masked_mean

WINDOW_KM = 300.0
WAVES_KM = (20.0, 140.0)
"""GeoCLIP's finest capsule reaches from 17 to 200 km; a window of 300 km cannot tell longer waves apart."""

_LONG = 1.5
"""Waves of up to so many periods a window are the background; a ripple that leaks from them is none."""

_LEAK = 0.5
"""A window's taper leaks at most a quarter of a long wave's power to where a ripple is looked for."""

STANDS_OUT = 35.0
"""Power of a wave in units of the median of its window, whitened. On the maps of September 2020 half of the
windows have no wave above 9, one in a hundred one above 17 to 22, and the highest of all is 42."""

MINIMUM_UGM3 = 0.4
"""Amplitude below which no reader of a map would see a ripple."""

_LAND_SHARE = 0.5
_STRIDE = 6
"""Windows along a window's side: they overlap by five sixths."""

_FLOOR = 0.002
"""Texture (natural logarithm) that is always taken for granted: without it a perfectly smooth field would
have no noise to stand out of."""

_MOST = 12
"""The most ripples that are reported in one map."""


def find_ripples(ratio: Field, level: Field, land: Mask, step_km: float) -> list[Finding]:
    """Find waves that stand out.

    Args:
        ratio: (y, x) natural logarithm of the ratio of the estimate to that at a neutral place; NaN where unknown.
        level: (y, x) ug m-3, by which a ratio is multiplied to get a concentration.
        land: bool (y, x).
        step_km: side of a cell; waves shorter than two cells cannot be resolved.
    """
    size = max(8, round(WINDOW_KM / step_km))
    known = land & np.isfinite(ratio)
    rows, cols = ratio.shape
    if min(rows, cols) < size or not known.any():
        return []
    flat = np.where(known, ratio - masked_mean(ratio, known, 0.3 * size), 0).astype(np.float32)
    corner, power, waves, amplitude = _spectra(flat, known, size)
    if not len(corner):
        return []
    wavelength = step_km / np.maximum(waves, 1e-9)
    resolved = (wavelength >= max(WAVES_KM[0], 2.2 * step_km)) & (wavelength <= WAVES_KM[1])
    whitened = _whitened(power, waves, resolved, size)
    best = whitened[:, resolved].argmax(1)
    strength = whitened[:, resolved].max(1) / STANDS_OUT
    middle = corner + size // 2
    levels = np.where(known, level, 0).astype(np.float32)
    near = masked_mean(levels, known, size / 4)[middle[:, 0], middle[:, 1]]
    tall = amplitude[:, resolved][np.arange(len(best)), best] * near
    own = power[:, resolved][np.arange(len(best)), best]
    leaked = power[:, (waves * size <= _LONG)].max(1)
    open_windows = (strength >= 1) & (tall >= MINIMUM_UGM3) & (own >= _LEAK * leaked)
    findings: list[Finding] = []
    across = np.argwhere(np.broadcast_to(resolved, power.shape[1:]))
    while open_windows.any() and len(findings) < _MOST:
        window = int(np.argmax(np.where(open_windows, strength, 0)))
        row, col = across[best[window]]
        wave = np.array([np.fft.fftfreq(size)[row], np.fft.rfftfreq(size)[col]])
        mask, height = _extent(flat, known, levels, wave, middle[window])
        # One ripple fills many windows; those around it belong to the same finding.
        apart = np.abs(middle - middle[window]).max(1)
        reach = mask[middle[:, 0], middle[:, 1]] | (apart <= size)
        open_windows &= ~reach
        if mask.any() and height >= MINIMUM_UGM3:
            findings.append(_described(mask, height, float(strength[window]), wave, step_km))
    return findings


def _spectra(
    flat: Field, known: Mask, size: int
) -> tuple[npt.NDArray[np.int64], Field, npt.NDArray[np.float64], Field]:
    """Return corners (window, 2), power and amplitude (window, ky, kx) of windows, and wavenumbers (ky, kx)."""
    taper = np.outer(*(2 * (np.hanning(size + 2)[1:-1],))).astype(np.float32)
    stride = max(1, size // _STRIDE)
    values = sliding_window_view(flat, (size, size))[::stride, ::stride]
    there = sliding_window_view(known, (size, size))[::stride, ::stride]
    weight = np.einsum("abij,ij->ab", there, taper)
    enough = weight / taper.sum() > _LAND_SHARE
    corner = np.argwhere(enough) * stride
    transform = np.abs(np.fft.rfft2(values[enough] * taper, axes=(1, 2))).astype(np.float32)
    noise = np.einsum("wij,ij->w", there[enough], taper**2)
    waves = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    amplitude = 2 * transform / weight[enough][:, None, None]
    return corner, transform**2 / noise[:, None, None], waves, amplitude


def _whitened(power: Field, waves: npt.NDArray[np.float64], resolved: Mask, size: int) -> Field:
    """Divide by the usual power at each wavelength, then by that of the window."""
    ring = np.round(waves * size).astype(int)
    usual = np.array([np.median(power[:, ring == i]) for i in range(ring.max() + 1)])
    white = power / (usual[ring] + _FLOOR**2)
    local = np.median(white[:, resolved], axis=1)
    scaled: Field = white / np.maximum(local, _FLOOR**2 / (usual.mean() + _FLOOR**2))[:, None, None]
    return scaled


def _extent(
    flat: Field, known: Mask, level: Field, wave: npt.NDArray[np.float64], middle: npt.NDArray[np.int64]
) -> tuple[Mask, float]:
    """Find how far a wave reaches: where its envelope keeps half of its height. Mask, and height in ug m-3."""
    y, x = np.indices(flat.shape, dtype=np.float32)
    turned = (flat * level) * np.exp(-2j * np.pi * (wave[0] * y + wave[1] * x))
    sigma = max(3.0, 0.45 / float(np.hypot(*wave)))
    envelope = 2 * np.hypot(masked_mean(turned.real, known, sigma), masked_mean(turned.imag, known, sigma))
    envelope = np.where(known, np.nan_to_num(envelope), 0)
    reach = round(WINDOW_KM / 40 * 1) + 2
    at = tuple(slice(max(0, m - reach), m + reach + 1) for m in middle)
    height = float(np.percentile(envelope[at], 75))
    labels, _ = ndimage.label(envelope >= 0.5 * height)
    inside = labels[at][labels[at] > 0]
    if not inside.size:
        return np.zeros_like(known), 0.0
    mask: Mask = (labels == np.bincount(inside).argmax()) & known
    return ndimage.binary_fill_holes(mask) & known, height


def _described(
    mask: Mask, height: float, strength: float, wave: npt.NDArray[np.float64], step_km: float
) -> Finding:
    length = step_km / float(np.hypot(*wave))
    words = (
        f"a wave of {length:.0f} km and {height:.1f} ug/m3 in amplitude that the predictors do not justify, "
        "at a wavelength of the location encoder"
    )
    return Finding("ripple", mask, height, strength, words)

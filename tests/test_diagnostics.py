"""Diagnostics on small invented maps: each fault is found where it was planted, and nowhere else."""

import dataclasses
import json

import numpy as np
import pytest
import shapely
from plantings import clean_map, smooth_field
from shapely.geometry import shape

from pm25map.diagnostics.diagnose import FAULT, INTERPOLATION, MONITOR_KM, PRIOR, RISK, examine
from pm25map.diagnostics.encoder import encoder_artifacts
from pm25map.diagnostics.finding import Finding
from pm25map.diagnostics.ripples import find_ripples
from pm25map.diagnostics.seams import find_seams, tiles_of_blocks, tiles_of_modis
from pm25map.diagnostics.stripes import find_flat_patches, find_holes, find_stripes
from pm25map.diagnostics.suspects import rank_suspects, to_geojson
from pm25map.grid import Block, Grid
from pm25map.raster.bands import NEUTRAL

SHAPE = (128, 160)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def land():
    """Land with a bay in its north-eastern corner and a lake."""
    land = np.ones(SHAPE, dtype=bool)
    land[:30, 120:] = False
    land[60:66, 70:78] = False
    return land


@pytest.fixture
def grid(land):
    """10 km cells from western Kansas to Ohio."""
    return Grid("plains", "EPSG:5070", (10e3, 0, -5e5, 0, -10e3, 2.1e6), SHAPE, 32, land)


def noise(rng, land, height=0.04):
    return np.where(land, height * rng.normal(size=SHAPE), np.nan).astype(np.float32)


def level(land, value=11.0):
    return np.where(land, value, np.nan).astype(np.float32)


def overlap(found, cells):
    union = np.any([f.mask for f in found], axis=0)
    return (union & cells).sum() / (union | cells).sum()


def test_texture_alone_is_no_fault(rng, land):
    value, tiles = noise(rng, land), tiles_of_blocks(SHAPE, 32)
    assert find_seams(value, level(land), land, tiles, "blocks") == []
    assert find_stripes(value, level(land), land) == []
    assert find_ripples(value, level(land), land, 10.0) == []
    assert find_flat_patches(np.exp(value), land) == []


def test_a_raised_block_is_found_by_its_borders(rng, land):
    value, tiles = noise(rng, land), tiles_of_blocks(SHAPE, 32)
    value[32:64, 32:64] += 0.06
    found = find_seams(value, level(land), land, tiles, "the blocks")
    cells = np.zeros(SHAPE, dtype=bool)
    cells[31:65, 31:65] = True
    cells[33:63, 33:63] = False
    assert overlap(found, cells) > 0.85
    assert found[0].size_ugm3 == pytest.approx(0.06 * 11, rel=0.35)
    assert "the blocks" in found[0].words


def test_a_jump_along_one_border_is_found_as_one(rng, land):
    value, tiles = noise(rng, land), tiles_of_blocks(SHAPE, 64)
    value[:64, :64] += np.outer(np.linspace(1, 0, 64), np.linspace(0, 0.2, 64))
    found = find_seams(value, level(land), land, tiles, "the blocks")
    assert len(found) == 1
    rows, cols = np.nonzero(found[0].mask)
    assert set(cols) == {63, 64} and rows.max() == 63


def test_a_mountain_front_beside_a_border_is_no_seam(rng, land):
    value, tiles = noise(rng, land), tiles_of_blocks(SHAPE, 64)
    value[:, 68:] += 0.2
    assert find_seams(value, level(land), land, tiles, "blocks") == []


def test_modis_tiles_have_their_borders_every_ten_degrees():
    lat = np.array([[40.01, 39.99]])
    lon = np.array([[-100.0, -100.0]])
    tiles = tiles_of_modis(lon, lat)
    assert tiles[0, 1] - tiles[0, 0] == 36
    # h09v05: Kansas lies in row 5, column 9 or 10 of MODIS Land's grid.
    assert tiles_of_modis(np.array([-98.0]), np.array([38.5]))[0] == 5 * 36 + 10
    assert tiles_of_modis(np.array([np.nan]), np.array([38.5]))[0] == -1


@pytest.mark.parametrize("turned", [False, True])
def test_a_stripe_is_found_from_end_to_end(rng, land, turned):
    value = noise(rng, land)
    cells = np.zeros(SHAPE, dtype=bool)
    cells[(slice(20, 80), 40) if turned else (40, slice(20, 80))] = True
    value[cells] -= 0.12
    found = find_stripes(value, level(land), land)
    assert len(found) == 1
    assert overlap(found, cells & land) > 0.85
    assert ("column" in found[0].words) == turned


def test_a_front_is_no_stripe(rng, land):
    value = noise(rng, land)
    value[40:] += 0.3
    assert find_stripes(value, level(land), land) == []


@pytest.fixture
def half_rough(rng):
    """Texture as at the edge of a plume: rough in the west, smooth in the east of column 80; all of it land."""
    land = np.ones(SHAPE, dtype=bool)
    return (np.where(np.arange(SHAPE[1]) < 80, 0.15, 0.01) * rng.normal(size=SHAPE)).astype(np.float32), land


def test_a_stripe_beside_rough_texture_is_found(half_rough):
    value, land = half_rough
    cells = np.zeros(SHAPE, dtype=bool)
    cells[50, 88:113] = True
    value[cells] += 0.06
    assert overlap(find_stripes(value, level(land), land), cells) > 0.6


def test_a_seam_is_found_by_the_smooth_part_of_its_border(half_rough):
    value, land = half_rough
    value[64:] += 0.02
    tiles = np.repeat((np.arange(SHAPE[0]) >= 64).astype(np.int32)[:, None], SHAPE[1], axis=1)
    (seam,) = find_seams(value, level(land, 20.0), land, tiles, "blocks")
    assert set(np.nonzero(seam.mask)[0]) == {63, 64}


def test_a_flat_patch_and_holes_are_found_cell_by_cell(rng, land):
    pm25 = np.where(land, 9 * np.exp(noise(rng, land)), np.nan).astype(np.float32)
    pm25[100:108, 20:30] = 7.25
    pm25[10, 10] = np.nan
    pm25[90:93, 90:93] = np.nan
    (patch,) = find_flat_patches(pm25, land)
    assert patch.mask.sum() == 80 and "7.2" in patch.words
    holes = find_holes(pm25, land)
    assert sorted(h.mask.sum() for h in holes) == [1, 9]
    assert any("1 land cell without" in h.words for h in holes)


@pytest.mark.parametrize("wavelength", [30, 60, 120])
def test_a_ripple_is_found_with_its_wavelength_and_extent(rng, land, wavelength):
    value = noise(rng, land)
    y, x = np.indices(SHAPE)
    cells = np.hypot(y - 80, x - 60) <= 15
    value += np.where(cells, 0.1 * np.cos(2 * np.pi * (0.6 * x + 0.8 * y) * 10 / wavelength), 0)
    (found,) = find_ripples(value, level(land), land, 10.0)
    assert overlap([found], cells) > 0.6
    assert found.size_ugm3 == pytest.approx(1.1, rel=0.3)
    told = float(found.words.split()[3])
    assert told == pytest.approx(wavelength, rel=0.2)


def test_where_the_place_changes_nothing_there_is_nothing_to_find(rng, land):
    pm25 = np.where(land, np.exp(2 + smooth_field(rng, SHAPE, 20)), np.nan).astype(np.float32)
    found = encoder_artifacts(pm25, pm25, land, 10.0)
    assert found.findings == []
    assert np.nanmax(np.abs(found.prior)) == 0
    assert np.nanmax(found.excess) == 0
    assert np.isnan(found.risk[~land]).all()


def test_a_raised_region_is_a_prior_and_a_rough_one_a_texture(rng, land):
    neutral = level(land, 10.0)
    pm25 = neutral * np.exp(noise(rng, land, 0.02))
    y, x = np.indices(SHAPE)
    pm25 *= np.exp(0.5 * np.exp(-((y - 105) ** 2 + (x - 35) ** 2) / 2 / 12**2))
    pm25[40:70, 110:140] *= np.exp(0.16 * rng.normal(size=(30, 30)))
    found = encoder_artifacts(pm25.astype(np.float32), neutral, land, 10.0)
    kinds = {f.kind: f for f in found.findings}
    assert set(kinds) == {"prior", "texture"}
    assert kinds["prior"].mask[105, 35] and not kinds["prior"].mask[50, 120]
    assert "raises" in kinds["prior"].words
    assert kinds["texture"].mask[55, 125] and not kinds["texture"].mask[105, 35]


def test_risk_grows_where_photos_and_monitors_are_few(rng, land):
    neutral = level(land, 10.0)
    pm25 = (neutral * np.exp(noise(rng, land, 0.05))).astype(np.float32)
    east = np.indices(SHAPE)[1] >= 80
    photos = np.where(east, 0.01, 50.0).astype(np.float32)
    far = np.where(east, 300.0, 5.0).astype(np.float32)
    found = encoder_artifacts(pm25, neutral, land, 10.0, photos=photos, monitor_km=far)
    assert np.nanmean(found.risk[:, 100:]) > 3 * np.nanmean(found.risk[:, :60])
    assert set(found.parts) == {"texture", "photos", "monitors"}
    assert np.nanmin(found.risk) >= 0 and np.nanmax(found.risk) <= 1


def test_suspects_are_ranked_named_and_drawn_where_they_are(grid):
    view = Block(0, 0, *SHAPE)
    box, hole = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    box[50:60, 20:30] = True
    hole[100, 100] = True
    findings = [
        Finding("ripple", box, 1.0, 2.0, "a wave"),
        Finding("hole", hole, float("nan"), 1.0, "1 land cell without an estimate"),
    ]
    suspects = rank_suspects(findings, np.where(grid.land, 0.5, np.nan).astype(np.float32), grid, view)
    assert [s.finding.kind for s in suspects] == ["hole", "ripple"]
    assert suspects[1].area_km2 == pytest.approx(10_000, rel=1e-6)
    assert suspects[1].risk == pytest.approx(0.5)
    assert "Kansas" in suspects[1].name or "Nebraska" in suspects[1].name
    drawn = json.loads(to_geojson(suspects, grid, view))["features"]
    outline = shape(drawn[1]["geometry"])
    assert outline.is_valid
    lon, lat = grid.lonlat(Block(55, 25, 1, 1))
    assert outline.contains(shapely.Point(lon[0], lat[0]))
    assert drawn[0]["properties"]["size_ugm3"] is None
    assert drawn[1]["properties"]["area_km2"] == 10_000


def test_a_diagnosis_keeps_its_parts_apart_and_names_no_fault_on_a_clean_map(rng, grid, monkeypatch):
    made = clean_map(rng, grid, Block(0, 0, *SHAPE))
    far = np.where(grid.land, 30.0, np.nan).astype(np.float32)
    made = dataclasses.replace(made, more={**made.more, MONITOR_KM: far})
    found = examine(made, grid, grid.land, "sincos", 32)
    assert [s.words for s in found.suspects] == []
    assert {PRIOR, RISK, FAULT, MONITOR_KM} <= set(found.bands)
    assert np.nanmax(found.bands[FAULT]) == 0
    for band, values in found.bands.items():
        assert values.dtype == np.float32 and not np.isfinite(values[~grid.land]).any(), band.name
    json.dumps(found.scores)


def test_a_model_without_a_place_is_judged_for_faults_alone(rng, grid):
    made = clean_map(rng, grid, Block(0, 0, *SHAPE))
    pm25 = made.pm25.copy()
    pm25[100:110, 20:30] = 7.5
    made = dataclasses.replace(made, pm25=pm25, more={INTERPOLATION: made.more[INTERPOLATION]})
    assert NEUTRAL not in made.more
    found = examine(made, grid, grid.land, "none", 32)
    assert PRIOR not in found.bands
    assert "flat patch" in {s.finding.kind for s in found.suspects}
    assert found.neutral == ""

"""The quality mask: every bit says what happened to a value, and nothing else sets it."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from maps import address_grid, provenance
from rio_cogeo import cog_validate

from pm25map.base.errors import BadOutput
from pm25map.diagnostics.quality import NO_CELL, QUALITY, QualityMask, write_quality
from pm25map.grid import Block
from pm25map.predictors.quality import Quality, flag_name, quality_mask
from pm25map.raster.block_bands import BlockDay

FEATURES = ("neighbours_idw9", "aod_055", "t2m_climatology", "elevation")
DAY = dt.date(2020, 9, 12)


def windows(cells: int = 3) -> np.ndarray:
    return np.ones((cells, 5, len(FEATURES)), dtype=np.float32)


def test_what_is_there_is_observed_and_a_climatology_is_one():
    assert quality_mask(windows(), FEATURES).tolist() == [Quality.OBSERVED | Quality.CLIMATOLOGY] * 3
    assert quality_mask(windows()[:, :, 3:], FEATURES[3:]).tolist() == [0, 0, 0]


def test_a_missing_value_is_told_and_today_is_told_apart():
    values = windows()
    values[1, 0, 1] = np.nan
    values[2, 4, 1] = np.nan
    first, before, today = quality_mask(values, FEATURES)
    assert not first & Quality.MISSING
    assert before & Quality.MISSING and not before & Quality.MISSING_TODAY
    assert today & Quality.MISSING and today & Quality.MISSING_TODAY


def test_flags_of_the_store_take_the_place_of_observed():
    flags = np.full((3, 5), np.nan)
    flags[0] = Quality.CARRIED_FORWARD
    flags[1, 2] = Quality.IMPUTED | Quality.STALE
    mask = quality_mask(windows()[:, :, 1:2], FEATURES[1:2], {"aod_055": flags})
    assert mask.tolist() == [
        Quality.CARRIED_FORWARD,
        Quality.OBSERVED | Quality.IMPUTED | Quality.STALE,
        Quality.OBSERVED,
    ]


def test_a_flag_cannot_make_a_missing_value_observed():
    values = windows()[:, :, 1:2]
    values[0] = np.nan
    mask = quality_mask(values, ("aod_055",), {"aod_055": np.full((3, 5), float(Quality.OBSERVED))})
    assert mask.tolist() == [Quality.MISSING | Quality.MISSING_TODAY, Quality.OBSERVED, Quality.OBSERVED]


@pytest.mark.parametrize("held", [(), (flag_name("aod_055"),)])
def test_the_provider_reads_the_flags_that_a_store_has(held):
    asked = []

    def read(names, days, block):
        asked.append((names, days[0], days[-1]))
        return np.full((len(days), len(names), block.height, block.width), float(Quality.STALE), np.float32)

    mask = QualityMask(FEATURES, SimpleNamespace(variables=held, read=read), 5)
    cells = np.array([[True, False], [True, True]])
    at = BlockDay(DAY, Block(0, 0, 2, 2), cells, None, None, None, None, None, FEATURES, windows())
    found = mask(at)
    observed = Quality.OBSERVED | Quality.CLIMATOLOGY
    assert list(mask.bands) == list(found) == [QUALITY]
    assert found[QUALITY].tolist() == [float(observed | (Quality.STALE if held else 0))] * 3
    assert asked == ([(held, dt.date(2020, 9, 8), DAY)] if held else [])


def test_the_band_names_every_bit():
    assert QUALITY.long_name.endswith("32 missing, 64 missing today")


def test_the_mask_is_a_file_of_bits_with_nearest_overviews(tmp_path):
    grid = address_grid(700, 600)
    mask = np.where(grid.land, np.float32(9), np.float32(np.nan))
    mask[100:110, 200:210] = float(Quality.MISSING | Quality.OBSERVED)
    path = tmp_path / "quality.tif"
    write_quality(path, mask, grid, provenance(grid))
    with rasterio.open(path) as source:
        bits = source.read(1)
        assert source.dtypes == ("uint8",) and source.nodata == NO_CELL
        assert source.tags()["flag_meanings"].split()[5] == "missing"
        assert source.tags()["flag_masks"].split()[5] == "32"
        assert source.tags()["OVERVIEW_RESAMPLING"] == "NEAREST"
        assert float(source.tags(1)["STATISTICS_MAXIMUM"]) == 33
        coarse = source.read(1, out_shape=(350, 300))
    assert set(np.unique(coarse)) == {9, 33, NO_CELL}
    assert (bits[~grid.land] == NO_CELL).all() and (bits[100:110, 200:210] == 33).all()
    valid, errors, warnings = cog_validate(path, strict=True)
    assert valid and not errors and not warnings
    with pytest.raises(BadOutput, match="exists already"):
        write_quality(path, mask, grid, provenance(grid))

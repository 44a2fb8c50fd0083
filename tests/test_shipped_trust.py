"""The calibration that comes with the default model: it belongs to the model, and holds what the documents say."""

import numpy as np
import pytest
import trust_tables

from pm25map.base.shipped import DEFAULT_MODEL, shipped_folder
from pm25map.diagnostics.applicability import DATA_FILE, load_applicability
from pm25map.diagnostics.trust import TRUST_BANDS, has_calibration
from pm25map.model.card import load_model
from pm25map.model.intervals import load_intervals
from pm25map.raster.inputs import open_inputs


@pytest.fixture(scope="module")
def model():
    return load_model(DEFAULT_MODEL)


def test_it_belongs_to_the_model_and_gives_all_layers(model):
    assert has_calibration(model)
    inputs = open_inputs(DEFAULT_MODEL, bands=TRUST_BANDS)
    names = [band.name for one in inputs.block_bands for band in one.bands]
    assert names[:2] == ["pm25_lower", "pm25_upper"]
    assert names[2:7] == ["p_above_9", "p_above_35_4", "p_above_55_4", "p_above_125_4", "p_above_225_4"]
    assert names[7:] == ["dissimilarity", "applicable", "training_density"]


def test_90_percent_intervals_hold_88_to_92_percent_at_stations_held_out(model):
    rows = {row.stratum: row for row in load_intervals(model).coverage}
    assert 88 <= rows["all"].coverage_percent <= 92
    singles = [row for row in rows.values() if row.n >= 200 and "," not in row.stratum]
    assert all(row.coverage_percent >= 85 for row in singles if not row.stratum.startswith("observed"))


def test_the_tables_of_the_document_are_those_of_the_default_model():
    page = trust_tables.PAGE.read_text()
    assert trust_tables.render(page) == page, (
        "edit the prose by hand, the tables with python tests/trust_tables.py"
    )


def test_few_strata_fall_short(model):
    crossed = [row for row in load_intervals(model).coverage if row.stratum.count(",") == 2]
    assert (
        0 < sum(row.coverage_percent < trust_tables.LEAST_PERCENT for row in crossed) <= 8
        and len(crossed) >= 50
    )


def test_probabilities_are_what_happens(model):
    rows = [row for row in load_intervals(model).reliability if row.n >= 1000]
    assert len(rows) >= 8
    assert all(abs(row.forecast - row.observed) < 0.06 for row in rows)


def test_the_reference_data_are_small_and_their_training_points_mostly_inside(model):
    made = load_applicability(model)
    assert (shipped_folder("models") / DEFAULT_MODEL / DATA_FILE).stat().st_size < 1e6
    assert 0.9 < (made.training.index <= made.training.threshold).mean() < 1
    # What was saved as float32 still has the mean distance and threshold of the card.
    some = made.training.points[::20]
    apart = np.linalg.norm(some[:, None] - some[None], axis=2)
    assert apart.sum() / (len(some) * (len(some) - 1)) == pytest.approx(made.training.mean_distance, rel=0.1)

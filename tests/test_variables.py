"""The variable table."""

import dataclasses

import numpy as np
import pytest
from predictor_world import REFERENCE_SET

from pm25map.base.errors import BadPredictors, UnknownName
from pm25map.predictors.variables import (
    VARIABLES,
    check_range,
    packing,
    variable,
    variables_of,
)


def test_the_reference_set_is_whole():
    assert len(REFERENCE_SET) == 23 and set(REFERENCE_SET) <= set(VARIABLES)


def test_every_daily_row_of_the_neighbours_is_a_field_and_the_other_way_round():
    from pm25map.predictors.neighbours import FIELDS

    assert set(variables_of("neighbours")) == set(FIELDS)


def test_every_static_row_has_a_raster():
    from pm25map.predictors.sources.static import FILES

    assert set(variables_of("static")) == set(FILES)


def test_every_calendar_row_has_a_rule():
    from pm25map.predictors.sources import calendar, sun

    rows = [name for name, row in VARIABLES.items() if row.kind == "calendar"]
    assert set(rows) == {*calendar.NAMES, *sun.NAMES}


def test_units_are_ascii_and_names_are_identifiers():
    assert all(row.units.isascii() and name.isidentifier() for name, row in VARIABLES.items())


@pytest.mark.parametrize("name", [name for name, row in VARIABLES.items() if row.precision])
def test_the_ends_of_the_valid_range_survive_packing(name):
    from pm25map.predictors.layout import decode, encode

    row = VARIABLES[name]
    scale, offset = packing(row, row.precision)
    about = {"scale_factor": scale, "add_offset": offset, "_FillValue": -32768}
    values = np.array([row.valid_min, row.valid_max, np.nan], np.float32)
    back = decode(encode(values, about), about)
    assert np.isnan(back[2])
    np.testing.assert_allclose(back[:2], values[:2], atol=row.precision / 2 * 1.01)


def test_a_step_too_fine_for_the_range_is_refused():
    with pytest.raises(BadPredictors, match=r"neighbours_idw9 cannot be packed in steps of 0\.001 ug m-3"):
        packing(VARIABLES["neighbours_idw9"], 0.001)


def test_a_row_with_an_unknown_kind_is_refused():
    with pytest.raises(BadPredictors, match="elevation"):
        dataclasses.replace(VARIABLES["elevation"], kind="hourly")


def test_an_unknown_name_lists_the_table():
    with pytest.raises(UnknownName, match=r"unknown predictor 'pm10'.*neighbours_idw9"):
        variable("pm10")


def test_a_value_out_of_range_names_variable_value_and_day():
    values = np.zeros((2, 3, 3), np.float32)
    values[1, 2, 0] = 5000
    with pytest.raises(BadPredictors, match="neighbours_idw9 is 5000 ug m-3 on 2020-09-02 in x"):
        check_range(VARIABLES["neighbours_idw9"], values, "x.zarr", ["2020-09-01", "2020-09-02"])


def test_a_missing_value_is_in_range():
    check_range(VARIABLES["neighbours_idw9"], np.full(3, np.nan, np.float32), "x.zarr")

"""Where a map comes from: all that must be known to trust it and to make it again, kept in its tags."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pm25map import __version__
from pm25map.base.days import building_time, parse_day
from pm25map.base.errors import BadDate, BadMap

MAP_LICENCE = "CC-BY-4.0"
PRODUCT = "Daily mean surface PM2.5"
PRODUCT_VERSION = "1"
"""Raised when maps of one day and model mean something else than before."""

DAY_DEFINITION = "AQS day, local standard time"
AQI_EDITION = "EPA-454/B-24-002, in force since 2024-05-06"

REFERENCE_DOI = "10.1080/15481603.2025.2594797"
REFERENCE_CITATION = (
    "Karimzadeh, Wang & Crooks (2025): Performance and generalizability impacts of incorporating location "
    "encoders into deep learning for dynamic PM2.5 estimation. GIScience & Remote Sensing 62(1)"
)

_PREFIX = "PM25MAP_"

_MAY_BE_EMPTY = {
    "encoder_checksum",
    "places_checksum",
    "intervals_checksum",
    "place_smoothing_km",
    "predictor_coverage_percent",
    "monitors",
    "monitor_distance_km",
    "window",
    "warnings",
    "precision",
}
"""GDAL keeps no empty tag: where one of these is absent, it was empty."""


@dataclass(frozen=True)
class Provenance:
    """What made one map. Holds no clock time: the same inputs give the same bytes.

    Attributes:
        day: the day that the map estimates, in the sense of day_definition.
        model_name, model_version: as in the model's card.
        card_checksum: as the card gives it of what decides a prediction (ModelCard.checksum).
        network_checksum: SHA-256 of model.onnx.
        grid_name, grid_checksum: the grid that the map lies on, whole or in part.
        predictors_name: name of the predictor store, without its folder.
        predictors_checksum: SHA-256 of the window that the model read (Predictors.window_checksum): a store that
            grows does not change it.
        engine: what ran the network; the values of two engines may differ in their last digits.
        precision: of the numbers that the engine truly computed in, such as f32; empty in maps of before.
        command: the line to type to make the map again; without folders of this machine.
        licence: SPDX name or text, of the map.
        encoder: name of the location encoder, or none.
        encoder_checksum, places_checksum: SHA-256 of its weights and of the store of place vectors; empty
            where the model takes no place.
        intervals_checksum: SHA-256 of the calibration of the intervals; empty where the map has none.
        place_smoothing_km: standard deviation over which place vectors were averaged; empty where they were not.
        predictor_coverage_percent: share of the values in the windows that were there and did not have to be
            filled; None where nobody counted.
        region: the named region or box that was asked for; "all" for the whole grid.
        monitors: how many monitors of which network measured on the day, final or preliminary; empty where the store
            does not say.
        monitor_distance_km: median distance of an estimated cell to the nearest monitor; empty likewise.
        window: days of the window that were there, such as 15 of 21; empty in maps of before.
        warnings: what a reader must know before the map is believed; empty where there is nothing.
        software_version, product_version, day_definition, aqi_edition: what the map was made with and means.
    """

    day: dt.date
    model_name: str
    model_version: str
    card_checksum: str
    network_checksum: str
    grid_name: str
    grid_checksum: str
    predictors_name: str
    predictors_checksum: str
    command: str
    licence: str
    encoder: str = "none"
    encoder_checksum: str = ""
    places_checksum: str = ""
    intervals_checksum: str = ""
    place_smoothing_km: str = ""
    predictor_coverage_percent: float | None = None
    region: str = "all"
    monitors: str = ""
    monitor_distance_km: str = ""
    window: str = ""
    warnings: str = ""
    engine: str = "onnxruntime"
    precision: str = ""
    software_version: str = __version__
    product_version: str = PRODUCT_VERSION
    day_definition: str = DAY_DEFINITION
    aqi_edition: str = AQI_EDITION

    def __post_init__(self) -> None:
        empty = [name for name, value in vars(self).items() if value == "" and name not in _MAY_BE_EMPTY]
        if empty:
            raise ValueError(f"a map must say its {empty[0]}")

    @property
    def title(self) -> str:
        """Name the map: product, day, grid and part of it."""
        part = "" if self.region == "all" else f" ({self.region})"
        return f"{PRODUCT}, {self.day.isoformat()}, {self.grid_name}{part}"

    @property
    def source(self) -> str:
        """Return what made the map, in CF's words."""
        return f"model {self.model_name} {self.model_version} on predictors {self.predictors_name}"

    @property
    def references(self) -> str:
        """Return the address of the paper behind the method."""
        return f"https://doi.org/{REFERENCE_DOI}"

    @property
    def comment(self) -> str:
        """Describe which day is meant."""
        return f"The day is the {self.day_definition}. Estimates, not measurements."

    def to_tags(self) -> dict[str, str]:
        """Write every field as one tag, PM25MAP_DAY and so on."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {_PREFIX + name.upper(): "" if value is None else str(value) for name, value in found.items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "Provenance":
        """Read what `to_tags` wrote.

        Raises:
            BadMap: a tag is absent, or does not hold what it should.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        text = {name: tags.get(_PREFIX + name.upper(), "") for name in names}
        absent = [_PREFIX + name.upper() for name in names if not text[name] and name not in _MAY_BE_EMPTY]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise BadMap(f"it lacks the tag {absent[0]}{more}")
        day, coverage = text.pop("day"), text.pop("predictor_coverage_percent")
        try:
            return cls(
                day=parse_day(day),
                predictor_coverage_percent=float(coverage) if coverage else None,
                **text,
            )
        except (BadDate, ValueError) as error:
            raise BadMap(f"one of its tags is damaged: {error}") from error


def time_bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Return the instants (UTC) between which a day of local standard time falls somewhere in CONUS.

    It begins at midnight of Eastern Standard Time and ends at midnight of Pacific Standard Time.
    """
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return midnight + dt.timedelta(hours=5), midnight + dt.timedelta(days=1, hours=8)


def created_time() -> dt.datetime:
    """Return when a map is made: SOURCE_DATE_EPOCH where it is set, else the clock. For commands only.

    Raises:
        BadDate: SOURCE_DATE_EPOCH is no time. A command asks before its work, so that no map is left without item.
    """
    return building_time() or dt.datetime.now(dt.UTC).replace(microsecond=0)

"""How the patches around places are made, as the card of an encoder with a vision tower keeps it."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A part of a YAML file that refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Channel(Strict):
    """One raster as a channel of a patch, or as several where it holds classes.

    Attributes:
        raster: name of a file in the folder of rasters; its first band.
        kind: "number" is standardized over land; "class" becomes one channel a group, 1 where it is.
        missing: values that mean no value, beside the file's own; they become the mean over land.
        groups: of a "class" raster: the values that make each group.
        source: where it is from, with its licence, for the card.
    """

    raster: str
    kind: Literal["number", "class"] = "number"
    missing: tuple[int, ...] = ()
    groups: dict[str, tuple[int, ...]] = {}
    source: str = ""

    @model_validator(mode="after")
    def _groups_belong_to_classes(self) -> Self:
        if (self.kind == "class") != bool(self.groups):
            raise ValueError(f"{self.raster}: give groups to a raster of kind class, and to no other")
        return self


class Land(Strict):
    """Where places are drawn: a raster, the values that are no land, and the latitudes between."""

    raster: str
    not_land: tuple[int, ...]
    south: float = Field(-90, ge=-90, le=90)
    north: float = Field(90, ge=-90, le=90)


class Rasters(Strict):
    """Patches cut from world rasters: `pixels` on a side, `step_km` apart on the ground, north up."""

    land: Land
    channels: tuple[Channel, ...] = Field(min_length=1)
    pixels: int = Field(16, ge=4, le=256)
    step_km: float = Field(10.0, gt=0, le=200)


class Patches(Strict):
    """Patches as GeoTIFF files with an index (lat, lon, fn), the layout of SatCLIP's S2-100K.

    Attributes:
        bands: that every file must have.
        pixels: a side of a patch after averaging; files are at least as large.
        divide: numbers are divided by this; Sentinel-2 reflectance by 10,000.
        source: where it is from, with its licence, for the card.
    """

    bands: int = Field(12, ge=1)
    pixels: int = Field(32, ge=4, le=512)
    divide: float = Field(10_000.0, gt=0)
    source: str = ""

"""What the commands that map one day are asked for: the same options, as one value."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pm25map.cli.opening import day_source, files_read, open_for_maps, ready_days
from pm25map.cli.options import map_options

if TYPE_CHECKING:
    from pm25map.base.storage import Location
    from pm25map.raster.inputs import Inputs
    from pm25map.raster.part import Part


@dataclasses.dataclass(frozen=True)
class MapOptions:
    """The options that `map_options` gives a command, by their names there."""

    model_name: str
    grid_name: str | None
    predictors: "Location | None"
    monitors: tuple[str, ...]
    foreign_monitors: bool
    base_url: str | None
    strict_window: bool
    bbox: tuple[float, float, float, float] | None
    region_name: str | None
    device: Any

    def files_read(self) -> list[Path]:
        """List the files and folders on this machine that are read."""
        return files_read(self.predictors, self.monitors)

    def part(self) -> "Part":
        """Find the part of the grid that is asked for, before any day is made ready."""
        from pm25map.model.card import load_model
        from pm25map.raster.inputs import open_grid_of
        from pm25map.raster.part import part_of

        return part_of(open_grid_of(load_model(self.model_name), self.grid_name), self.bbox, self.region_name)

    def open(self, day: dt.date, *, bands: tuple[str, ...] = (), smoothing_km: float = 0.0) -> "Inputs":
        """Make one day ready and open what its map is made of; arguments as `open_for_maps`."""
        asked = day_source(
            self.predictors,
            self.monitors,
            self.base_url,
            strict_window=self.strict_window,
            foreign_monitors=self.foreign_monitors,
        )
        source = ready_days(self.model_name, self.grid_name, asked, [day]).source
        return open_for_maps(
            self.model_name, self.grid_name, source, [day], bands=bands, smoothing_km=smoothing_km
        )


def one_day_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `map_options`, passed on as one value: `asked`."""
    names = [field.name for field in dataclasses.fields(MapOptions)]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        asked = MapOptions(**{name: given.pop(name) for name in names})
        function(asked=asked, **given)

    return map_options(command)

"""The accessor `maps.pm25map` of a dataset of maps: what it says of itself, and writing it in three formats."""

import datetime as dt
import functools
import itertools
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from pm25map.base.errors import BadMap, BadOutput
from pm25map.base.files import check_output, make_folder, replacing
from pm25map.grid import Block, Grid
from pm25map.raster.bands import ESTIMATES, PM25, Band
from pm25map.raster.map_files import check_map_outputs, write_map
from pm25map.raster.netcdf import check_netcdf, write_netcdf
from pm25map.raster.provenance import Provenance
from pm25map.raster.support import warnings_of

OF_A_DAY: Final = (
    "PM25MAP_DAY",
    "PM25MAP_COMMAND",
    "PM25MAP_PREDICTORS_CHECKSUM",
    "PM25MAP_MONITORS",
    "PM25MAP_MONITOR_DISTANCE_KM",
    "PM25MAP_WINDOW",
    "PM25MAP_WARNINGS",
)
"""Tags of a map that differ from day to day: a dataset has them in its coordinates, and in OPTIONS."""

OPTIONS: Final = "PM25MAP_OPTIONS"
"""Attribute with the options of the command line that make the maps again."""


@xr.register_dataset_accessor("pm25map")  # type: ignore[no-untyped-call]
class Maps:
    """Maps of some days, as `pm25map.open` returns them, or a part of them cut out by day, x or y."""

    def __init__(self, maps: xr.Dataset) -> None:
        self._maps = maps

    @property
    def days(self) -> list[dt.date]:
        """List the days."""
        return [pd.Timestamp(day).date() for day in np.atleast_1d(self._maps["day"].values)]

    @property
    def bands(self) -> tuple[Band, ...]:
        """List the bands, PM2.5 first where it is there."""
        names = [str(name) for name, values in self._maps.data_vars.items() if values.dims[-2:] == ("y", "x")]
        return tuple(ESTIMATES.get(name) or self._band(name) for name in names)

    def _band(self, name: str) -> Band:
        attrs = self._maps[name].attrs
        return Band(
            name,
            attrs.get("long_name", name),
            attrs.get("units", "1"),
            attrs.get("standard_name"),
            attrs.get("cell_methods"),
        )

    @functools.cached_property
    def grid(self) -> Grid:
        """The grid of the maps; its land is the cells that were to be estimated.

        Raises:
            BadMap: the dataset does not say on which grid it lies.
        """
        crs, transform, shape = self._said("GRID_CRS"), self._said("GRID_TRANSFORM"), self._said("GRID_SHAPE")
        a, b, c, d, e, f = map(float, transform.split())
        rows, cols = map(int, shape.split())
        land = np.zeros((rows, cols), dtype=np.bool_)
        land[self._view((a, b, c, d, e, f), (rows, cols)).slices] = self._maps["asked"].values
        return Grid(self._said("GRID_NAME"), crs, (a, b, c, d, e, f), (rows, cols), max(rows, cols), land)

    @property
    def view(self) -> Block:
        """The rectangle of the grid that the maps cover."""
        return self._view(self.grid.transform, self.grid.shape)

    def _view(self, transform: tuple[float, ...], shape: tuple[int, int]) -> Block:
        x, y = self._maps["x"].values, self._maps["y"].values
        col, row = (
            round((x[0] - transform[2]) / transform[0] - 0.5),
            round((y[0] - transform[5]) / transform[4] - 0.5),
        )
        whole = row >= 0 and col >= 0 and row + len(y) <= shape[0] and col + len(x) <= shape[1]
        if not whole or not (
            np.allclose(x, transform[2] + transform[0] * (np.arange(len(x)) + col + 0.5))
            and np.allclose(y, transform[5] + transform[4] * (np.arange(len(y)) + row + 0.5))
        ):
            raise BadMap(
                "these maps are no rectangle of neighbouring cells of their grid: cut them with slices of x and y"
            )
        return Block(row, col, len(y), len(x))

    def _said(self, name: str) -> str:
        """Read an attribute.

        Raises:
            BadMap: it is not there.
        """
        key = f"PM25MAP_{name}"
        if key not in self._maps.attrs:
            raise BadMap(
                f"this dataset has no attribute {key}: use one that pm25map.open or pm25map.predict returned"
            )
        return str(self._maps.attrs[key])

    def provenance(self, day: dt.date, file_name: str) -> Provenance:
        """Return where the map of a day comes from, with the command that makes the very file again.

        Raises:
            BadMap: the dataset does not say.
        """
        of_day = self._day(day)
        words = [
            "pm25map",
            "predict",
            "--date",
            str(day),
            "--out",
            file_name,
            *shlex.split(self._said("OPTIONS")),
        ]
        values = (
            str(day),
            shlex.join(words),
            str(of_day["predictors_sha256"].item()),
            *_support_tags(of_day),
        )
        stated = {name: str(value) for name, value in self._maps.attrs.items()}
        return Provenance.from_tags(stated | dict(zip(OF_A_DAY, values, strict=True)))

    def _day(self, day: dt.date) -> xr.Dataset:
        """Cut one day out; it has no axis of days."""
        maps = self._maps
        return maps.sel(day=np.datetime64(day)) if "day" in maps.dims else maps

    def to_cog(self, path: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write Cloud-Optimized GeoTIFFs, as `pm25map predict` does, to the byte: a map a day holds PM2.5 alone.

        Further bands stand beside it, one unit a file: pm25_2020-09-12.bands.tif and so on.

        Args:
            path: the file of one day; a folder for several, which holds pm25_2020-09-12.tif and so on.
            overwrite: replace files that are there.

        Returns:
            The maps.

        Raises:
            BadOutput: a file is there already, cannot be written, or would hold no estimate.
        """
        files = self._files(Path(path), {str(day): [day] for day in self.days}, "tif", overwrite)
        names = {days[0]: file for file, days in files.items()}
        for part in self._computed():
            for day in part.days:
                part._write_cog(names[day], day, overwrite=overwrite)
        return list(files)

    def _computed(self) -> Iterator["Maps"]:
        """Compute the maps and hand them out: so many days at a time as stand in a chunk, each chunk once."""
        lengths = self._maps.chunks.get("day", (1,) * len(self.days))
        for start, length in zip(itertools.accumulate(lengths, initial=0), lengths, strict=False):
            some = (
                self._maps.isel(day=slice(start, start + length)) if "day" in self._maps.dims else self._maps
            )
            yield Maps(some.compute())

    def _write_cog(self, path: Path, day: dt.date, *, overwrite: bool) -> None:
        """Write the map of one day."""
        maps = self._day(day)
        layers = {band: maps[band.name].values for band in self.bands}
        pm25: npt.NDArray[np.float32] = layers.pop(PM25)
        view = self.view
        write_map(
            path,
            pm25,
            self.grid,
            self.provenance(day, path.name),
            more=layers,
            overwrite=overwrite,
            block=view,
            asked=self.grid.land[view.slices],
        )

    def to_netcdf(
        self,
        path: str | Path,
        *,
        by: Literal["all", "day", "year"] = "all",
        packed: bool = True,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write netCDF-4 files that follow CF-1.11.

        Args:
            path: the file, or with `by` of "day" or "year" and more than one of them a folder, which holds
                pm25_2020-09-12.nc or pm25_2020.nc and so on.
            by: how many days stand in a file.
            packed: whether concentrations become whole numbers of steps (STEP_UGM3). Other bands, and all of them
                where it is false, are float32. Both are deflated.
            overwrite: replace files that are there.

        Returns:
            The files. Each is whole, or absent after an error.

        Raises:
            BadOutput: a file is there already or cannot be written, or a value is too large to be packed.
            BadInstall: the package netCDF4 is missing.
        """
        check_netcdf()
        groups: dict[str, list[dt.date]] = {}
        for day in self.days:
            groups.setdefault({"all": "all", "day": str(day), "year": f"{day.year:04d}"}[by], []).append(day)
        files = self._files(Path(path), groups, "nc", overwrite)
        if by == "day":
            names = {days[0]: file for file, days in files.items()}
            for part in self._computed():
                for day in part.days:
                    write_netcdf(names[day], part._for_files([day]), part.bands, packed=packed)
        else:
            for file, days in files.items():
                write_netcdf(file, self._for_files(days), self.bands, packed=packed)
        return list(files)

    def to_zarr(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a Zarr store (format 3), float32, a chunk of it for each chunk of the maps.

        Args:
            path: folder of the store.
            overwrite: replace a store that is there.

        Returns:
            The store. It is whole, or absent after an error.

        Raises:
            BadOutput: it is there already or cannot be written.
        """
        target = Path(path)
        if target.exists() and not (overwrite and (target / "zarr.json").is_file()):
            raise BadOutput(
                f"{target} exists already, and is no Zarr store that may be replaced: choose another name, "
                "or say overwrite=True"
            )
        maps = self._for_files(self.days)
        # Strings of any length: those of one length have no specification in Zarr 3.
        maps["predictors_sha256"] = maps["predictors_sha256"].astype(object)
        with replacing(target) as part:
            maps.to_zarr(part, mode="w", zarr_format=3, consolidated=False)
        return target

    def _for_files(self, days: list[dt.date]) -> xr.Dataset:
        """Return some days as files hold them: bounds and checksums are variables, and chunks are encoded anew."""
        maps = self._maps.reset_coords(["day_bnds", "predictors_sha256"])
        maps = maps if "day" in maps.dims else maps.expand_dims("day")
        maps = maps.sel(day=np.array(days, dtype="datetime64[ns]"))
        for band in self.bands:
            maps[band.name].encoding = {"grid_mapping": "spatial_ref"}
        return _of_one_size(maps)

    def _files(
        self, path: Path, groups: dict[str, list[dt.date]], suffix: str, overwrite: bool
    ) -> dict[Path, list[dt.date]]:
        """Name the files of groups of days; all are refused before any is written."""
        if len(groups) == 1:
            files = dict(zip([path], groups.values(), strict=True))
        else:
            files = {path / f"pm25_{name}.{suffix}": days for name, days in groups.items()}
            make_folder(path)
        for file in files:
            if suffix == "tif":
                check_map_outputs(file, overwrite=overwrite)
            else:
                check_output(file, overwrite=overwrite)
        return files


def netcdf_content(maps: xr.Dataset) -> bytes:
    """Return the content of the NetCDF file that `to_netcdf` writes."""
    with tempfile.TemporaryDirectory(prefix="pm25map-") as scratch:
        (path,) = Maps(maps).to_netcdf(Path(scratch) / "maps.nc")
        return path.read_bytes()


def _of_one_size(maps: xr.Dataset) -> xr.Dataset:
    """Return maps whose chunks are of one size: files know no others, and none may be written by two tasks."""
    sizes = {axis: max(lengths) for axis, lengths in maps.chunks.items()}
    lazy = [name for name, values in maps.data_vars.items() if values.chunks is not None]
    return maps.assign({name: maps[name].chunk(sizes) for name in lazy})


def _support_tags(of_day: xr.Dataset) -> tuple[str, str, str, str]:
    """Write what a day stands on as the tags of a map do: monitors, distance, window and warnings."""
    count, present = int(of_day["monitor_count"].item()), int(of_day["window_days_present"].item())
    length = int(of_day["window_days_present"].attrs["window_days"])
    away, far = float(of_day["monitor_distance"]), float(of_day["monitor_far_share"])
    warnings = warnings_of(None if count < 0 else count, None if np.isnan(far) else far, present, length)
    return (
        str(of_day["monitors"].item()),
        "" if np.isnan(away) else f"{away:.1f}",
        f"{present} of {length}",
        "; ".join(warnings),
    )

"""Every error a user can meet. Each message states what, where, and what to do next, in one line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class Pm25mapError(Exception):
    """Base of all errors that a user can mend; the porch prints it in one line and exits with 1."""


class BadWord(Pm25mapError):
    """A word of a command line is empty, far too long, or not readable in the locale."""


class BadDate(Pm25mapError):
    """A date cannot be read, or a period ends before it starts."""


class DayOutsideStore(Pm25mapError):
    """The predictor store does not cover the requested day."""


class MissingDays(Pm25mapError):
    """The store reaches the day, and lacks at least one day of its window."""


class UnknownName(Pm25mapError):
    """A grid, model, region, encoder or source of that name does not exist."""


class BadGrid(Pm25mapError):
    """A grid cannot be built or read, or two grids that must agree do not."""


class BadRegion(Pm25mapError):
    """A bounding box is upside down or outside of the grid."""


class BadMonitors(Pm25mapError):
    """A file of monitors lacks columns or holds what is not a number."""


class BadPredictors(Pm25mapError):
    """A predictor store or a raw file has a wrong unit, shape, CRS or value."""


class BadRaster(Pm25mapError):
    """A world raster or a patch lacks its CRS, or has another extent or band count than is needed."""


class BadTarget(Pm25mapError):
    """What a probe shall learn has one class, no value, or no raster to take it from."""


class BadModel(Pm25mapError):
    """A model's card and its network, features, grid or encoder do not match, or the file is damaged."""


class BadConfig(Pm25mapError):
    """A configuration file has an unknown key or a value out of range."""


class BadSplit(Pm25mapError):
    """A split leaves nothing to learn from, or nothing to judge."""


class BadStudy(Pm25mapError):
    """A folder of a study's results lacks something or is of another protocol, or nothing can be audited."""


class ParityFailed(Pm25mapError):
    """An exported network does not give what the trained one gives; nothing was written."""


class BadFetch(Pm25mapError):
    """A provider's file cannot be had: out of reach, refused, too large, or not what it must be."""


class LoginFailed(BadFetch):
    """A provider wants a login, and there is none or it is refused."""


class BadOutput(Pm25mapError):
    """An output cannot be written: folder absent or read-only, disk full, or file already there."""


class DiskFull(BadOutput):
    """There is no room left: nothing more can be written, whatever the day."""


class StoreUnreachable(BadOutput):
    """An object store does not answer, refuses, or has no such bucket: no day can be read or written."""


class BadMap(Pm25mapError):
    """A file is not a map of this package, or is damaged."""


class BadPoints(Pm25mapError):
    """A table of places and periods lacks columns, or a line of it cannot be true."""


class BadAreas(Pm25mapError):
    """Polygons cannot be read, are not valid, or have no CRS."""


class DeviceUnavailable(Pm25mapError):
    """The requested device cannot run the model."""


class EngineRefused(Pm25mapError):
    """An engine's results depend on what else is in a call, or differ too much from stock ONNX Runtime's."""


class BadInstall(Pm25mapError):
    """The Python environment lacks a package, or holds two that exclude each other."""


class BadRequest(Pm25mapError):
    """A request for values of a map cannot be answered: a point or polygon outside of it, or more than is allowed."""


class BadServer(Pm25mapError):
    """The tile server cannot start: its port is taken, or its folder holds no map."""


def first_fault(error: "ValidationError") -> str:
    """Describe the first fault that pydantic finds in the fields of a file: where it is, and what."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']}"

"""Every location encoder by its name: those of this package, folders, and those of other packages."""

from importlib.metadata import entry_points

from pm25map.base.errors import BadInstall, UnknownName
from pm25map.places.formulas import Latlon, Sincos
from pm25map.places.geoclip import Geoclip
from pm25map.places.harmonics import harmonics_named
from pm25map.places.location_encoder import LocationEncoder
from pm25map.places.some_capsules import capsules_named
from pm25map.places.trained import open_trained

ENCODERS = ("latlon", "sincos", "geoclip")
"""Names that `encoder` accepts, beside harmonics-0 to harmonics-40 and the folders of trained encoders."""

GROUP = "pm25map.encoders"
"""Entry points of packages that bring encoders: by name, what `encoder` calls with the number of threads."""


def encoder(name: str, threads: int = 1) -> LocationEncoder:
    """Open an encoder by its name.

    Args:
        name: one of ENCODERS; harmonics-N for spherical harmonics up to degree N; geoclip-capsules-1-3 for the
            sum of some of GeoCLIP's capsules, the smoothest first; a shipped encoder such as
            places-open, or the path of a folder that `pm25map lab places export` or `convert` wrote; or an encoder
            that another package provides.
        threads: that a network may use; the others need none.

    Raises:
        UnknownName: no encoder has that name.
        BadModel: a network is damaged.
        BadInstall: the encoder is a network and ONNX Runtime is absent, or another package's encoder does not load.
    """
    if name == "latlon":
        return Latlon()
    if name == "sincos":
        return Sincos()
    if name == "geoclip":
        return Geoclip(threads=threads)
    opened = (
        harmonics_named(name)
        or capsules_named(name)
        or open_trained(name, threads)
        or _from_entry_point(name, threads)
    )
    if opened is None:
        others = "".join(f", {other}" for other in sorted(entry_points(group=GROUP).names))
        raise UnknownName(
            f"unknown encoder {name!r}: there are {', '.join(ENCODERS)}, harmonics-20 (or another degree to 40), "
            f"geoclip-capsules-1-3 (or others of its three){others}, and folders that pm25map lab places export wrote"
        )
    return opened


def _from_entry_point(name: str, threads: int) -> LocationEncoder | None:
    """Open an encoder of another package; None where no package provides it."""
    for point in entry_points(group=GROUP, name=name):
        try:
            opened: LocationEncoder = point.load()(threads)
        except (ImportError, AttributeError, TypeError) as error:
            raise BadInstall(
                f"the encoder {name} of the entry point {point.value} does not load: {error}. Mend or uninstall "
                "its package"
            ) from error
        if opened.name != name:
            raise BadInstall(
                f"the encoder {name} of the entry point {point.value} calls itself {opened.name}. Mend its package"
            )
        return opened
    return None

"""The bands that maps have: name, meaning and unit of each, in CF's words."""

from dataclasses import dataclass

from pm25map.base.aqi import UPPER_ENDS


@dataclass(frozen=True)
class Band:
    """One layer of a map.

    Attributes:
        name: short, as scripts and the page ask for it; the band's description, and its tag NAME.
        long_name: for people; in the tag of that name.
        units: as udunits reads them; "1" for shares and counts.
        standard_name: of the CF table, None where it has none for this.
        cell_methods: how the value stands for its cell and day, None where it is no statistic of them.
        whole: the values are counts or flags, of which no mean is taken; float32 all the same, NaN where there is none.
    """

    name: str
    long_name: str
    units: str
    standard_name: str | None = None
    cell_methods: str | None = None
    whole: bool = False

    def tags(self) -> dict[str, str]:
        """Return the tags of the band in a GeoTIFF: its name and CF's attributes."""
        return {"NAME": self.name, **self.attributes()}

    def attributes(self) -> dict[str, str]:
        """Return CF's attributes of the band."""
        found = {"long_name": self.long_name, "units": self.units}
        if self.standard_name is not None:
            found["standard_name"] = self.standard_name
        if self.cell_methods is not None:
            found["cell_methods"] = self.cell_methods
        return found


_PM25 = "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air"

PM25 = Band("pm25", "PM2.5 at the surface, 24-hour mean", "ug m-3", _PM25, "time: mean")
PM25_SPREAD = Band(
    "pm25_spread", "Standard deviation of PM2.5 over the members", "ug m-3", f"{_PM25} standard_error"
)
PM25_MEMBERS = Band("pm25_members", "Members that gave an estimate", "1", whole=True)
NEUTRAL = Band(
    "pm25_neutral_place",
    "PM2.5 with the place vector averaged over its region",
    "ug m-3",
    _PM25,
    "time: mean",
)

ESTIMATES = {band.name: band for band in (PM25, PM25_SPREAD, PM25_MEMBERS, NEUTRAL)}
"""What a session may give of a cell, by name (Session.bands)."""

LOWER = Band("pm25_lower", "Lower end of the 90 % interval of PM2.5", PM25.units, PM25.standard_name)
UPPER = Band("pm25_upper", "Upper end of the 90 % interval of PM2.5", PM25.units, PM25.standard_name)
EXCEEDANCE = {
    level: Band(
        f"p_above_{level:g}".replace(".", "_"), f"Probability that PM2.5 is above {level:g} ug m-3", "1"
    )
    for level in UPPER_ENDS
}
"""A band for the upper end of every class of the Air Quality Index but the last, ug m-3."""

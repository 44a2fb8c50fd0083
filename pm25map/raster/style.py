"""How other programs draw a map in the classes of the Air Quality Index: QGIS by a style, tile servers by a hint."""

from typing import Any, Final
from xml.sax.saxutils import quoteattr

from pm25map.base.aqi import CATEGORIES, CLASS_STARTS

_UP_TO: Final = "%s: up to %s \N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}"
_FROM: Final = "%s: from %s \N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}"


def qgis_style() -> str:
    """Return the style (.qml) that QGIS takes for a raster of the same name beside it."""
    ends = [*(f"{start:.6f}" for start in CLASS_STARTS[1:]), "inf"]
    labels = [
        *(_UP_TO % (one.name, one.high) for one in CATEGORIES[:-1]),
        _FROM % (CATEGORIES[-1].name, CATEGORIES[-1].low),
    ]
    # A class of QGIS reaches up to its value and holds it: the ends lie between two values of float32.
    items = "\n".join(
        f'          <item value="{end}" label={quoteattr(label)} color="{one.colour.lower()}" alpha="255"/>'
        for end, label, one in zip(ends, labels, CATEGORIES, strict=True)
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" nodataColor=""
                    classificationMin="0" classificationMax="{CATEGORIES[-1].high}">
      <rasterTransparency/>
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Exact</statAccuracy>
      </minMaxOrigin>
      <rastershader>
        <colorrampshader colorRampType="DISCRETE" classificationMode="1" clip="0"
                         minimumValue="0" maximumValue="{CATEGORIES[-1].high}">
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
"""


def render_hint(edition: str) -> dict[str, Any]:
    """Return the entry of STAC's extension `render`: it has titiler draw the classes of the index, to 0.1 ug m-3.

    Args:
        edition: of the index.
    """
    classes = "+".join(f"where(b1>={start:.6f},1,0)" for start in CLASS_STARTS[1:])
    return {
        "title": f"Air Quality Index classes ({edition})",
        "assets": ["map"],
        "expression": classes,
        "nodata": "nan",
        "resampling": "nearest",
        "colormap": {str(number): one.colour for number, one in enumerate(CATEGORIES)},
    }

"""`pm25map lab places card`: the card of an encoder: its source, training and wavelengths."""

from pathlib import Path
from typing import Any

import click

from pm25map.cli.options import FILE


@click.command()
@click.argument("name", metavar="ENCODER")
@click.option(
    "--grid", "grid_name", default="conus-10km", show_default=True, help="Of the wavelength profile."
)
@click.option(
    "--out",
    type=FILE,
    help="Folder to write: the ONNX network and the card; any encoder but one that is a folder already.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def card(*, name: str, grid_name: str, out: Path | None, as_json: bool) -> None:
    """Describe an ENCODER: dimension, licence, citation, training domain, wavelength profile.

    The profile is measured over a grid; those of GeoCLIP over conus-10km and of trained encoders are on disk.
    Shares of the energy are of bands of wavelength in km; the gradient is per km, of the vector's usual length.

    \b
    Try: pm25map lab places card harmonics-20 --out models/harmonics-20
    """  # noqa: D301 - click reads \b
    import json

    from pm25map.grid import load_grid
    from pm25map.laboratory.encoders.known import describe
    from pm25map.places.catalogue import encoder

    location_encoder, grid = encoder(name), load_grid(grid_name)
    if out is not None:
        from pm25map.laboratory.encoders.known_export import write_known

        fields = write_known(location_encoder, out, grid).model_dump(exclude_none=True, exclude={"patch"})
    else:
        fields = describe(location_encoder, grid)
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    for key, value in fields.items():
        click.echo(f"{key:<16} {_words(key, value)}")


def _words(key: str, value: Any) -> str:
    if key == "profile":
        ends = [*(f"below {end:g} km" for end in value["cutoffs_km"]), "longer"]
        shares = ", ".join(
            f"{end} {100 * part:.3g} %" for end, part in zip(ends, value["share"], strict=True)
        )
        return f"over {value['grid']}: {shares}; gradient {value['gradient_per_km']:g} per km"
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)

"""`pm25map lab places locate` and `places patch`: where a patch is from, and patches to ask about."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm25map.laboratory.locate.search import GalleryPart, LocatedPlaces, LocateScore
    from pm25map.places.location_encoder import Vectors

PATH = FILE


@click.command()
@click.argument("patch_path", metavar="[PATCH]", type=PATH, required=False)
@click.option(
    "--model", "name", default="places-open", show_default=True, help="Encoder with a vision tower."
)
@click.option("--rasters", type=PATH, help="Folder of world rasters and countries-50m.json.")
@click.option(
    "--gallery", type=PATH, help="CSV of places to choose from: lat, lon in degrees. Default: land."
)
@click.option(
    "--places",
    type=Count(min=1),
    default=100_000,
    show_default=True,
    help="Land places of the gallery, evenly spread; 100,000 are 38 km apart.",
)
@click.option("--top", type=Count(1, 1000), default=5, show_default=True, help="Places to tell.")
@click.option("--out", type=PATH, help="PNG of the probability over the world.")
@click.option("--overwrite", is_flag=True, help="Replace the PNG.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--score",
    "count",
    type=Count(min=2),
    help="Score so many held-out patches instead of one PATCH.",
)
@click.option("--seed", type=Count(), default=0, show_default=True, help="Of the held-out patches.")
@click.option(
    "--backbone", type=PATH, help="CLIP ViT-L/14 for --model geoclip: model.safetensors or its folder."
)
def locate(
    *,
    patch_path: Path | None,
    name: str,
    rasters: Path | None,
    gallery: Path | None,
    places: int,
    top: int,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    count: int | None,
    seed: int,
    backbone: Path | None,
) -> None:
    """Locate a PATCH: the places of a gallery whose vectors are most like that of the patch.

    PATCH is a GeoTIFF with the channels of the encoder's card, north up (pm25map lab places patch writes one), or a
    photo for --model geoclip. The vision tower does not see where the file says that it lies. Probabilities are a
    softmax over the whole gallery with the learned temperature.

    With --score: patches of held-out blocks, and how many have their most probable place within 25, 200, 750 and
    2,500 km; beside it what a random place of the gallery reaches, and what the gallery allows at best.

    \b
    Try: pm25map lab places locate patch.tif --rasters global --out map.png
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_outputs
    from pm25map.laboratory.locate.draw import PLACES
    from pm25map.laboratory.locate.search import Search

    if (patch_path is None) == (count is None):
        raise click.UsageError("give either a PATCH, or --score with a number of held-out patches")
    if rasters is None and (gallery is None or count is not None):
        raise click.UsageError(
            "give --rasters: the land of the gallery, and the held-out patches, come from there"
        )
    if count is not None and (name == "geoclip" or out is not None):
        raise click.UsageError("--score needs an encoder with patches that were held out, and draws no map")
    if out is not None:
        check_outputs(
            [out], [*filter(None, (patch_path, gallery)), *_rasters_in(rasters)], overwrite=overwrite
        )
    if count is not None and rasters is not None:
        _score(name, rasters, _parts(name, rasters, gallery, places), count, seed, as_json)
    elif patch_path is not None:
        vectors, temperature, own = _vector_of(name, patch_path, backbone)
        search = Search(vectors, temperature, top if out is None else max(top, PLACES))
        for part in _parts(name, rasters, gallery, places):
            search.add(part)
        _tell(search.result(), top, own, as_json)
        if out is not None:
            from pm25map.laboratory.locate.draw import draw_result

            title = f"Where {patch_path.name} may be from, by {name}"
            draw_result(search.result(), title, out, countries=rasters, truth=own, overwrite=overwrite)
            click.echo(out, err=as_json)


def _rasters_in(folder: Path | None) -> list[Path]:
    """List what a folder of rasters holds, each an input of its own."""
    return sorted(folder.rglob("*")) if folder is not None else []


def _vector_of(
    name: str, path: Path, backbone: Path | None
) -> "tuple[Vectors, float, tuple[float, float] | None]":
    """Return the vector of a patch or photo, the temperature, and the place that its file names."""
    if name == "geoclip":
        from pm25map.laboratory.locate.geoclip_photo import GeoclipPhotos

        photos = GeoclipPhotos(backbone)
        return photos.see(path), photos.temperature, None
    from pm25map.laboratory.encoders.vision import open_vision
    from pm25map.laboratory.locate.patch_file import read_patch_file

    vision = open_vision(name)
    patch = read_patch_file(path, vision.card, vision.name)
    return vision.see(patch.values[None]), vision.temperature, (patch.lat, patch.lon)


def _parts(name: str, rasters: Path | None, gallery: Path | None, places: int) -> "Iterator[GalleryPart]":
    from pm25map.laboratory.locate.search import gallery_of_file, land_gallery
    from pm25map.places.catalogue import encoder

    if gallery is not None or rasters is None:
        yield from gallery_of_file(encoder(name), gallery or Path())
        return
    with progress_bar("vectors of the gallery, once") as progress:
        yield from land_gallery(encoder(name), rasters, places, progress)


def _score(
    name: str, rasters: Path, parts: "Iterator[GalleryPart]", count: int, seed: int, as_json: bool
) -> None:
    import json
    from dataclasses import asdict

    from pm25map.laboratory.encoders.vision import open_vision
    from pm25map.laboratory.locate.patch_file import held_out_patches
    from pm25map.laboratory.locate.search import Search, score

    vision = open_vision(name)
    lat, lon, patches = held_out_patches(vision.card, rasters, count, seed)
    search = Search(vision.see_standardized(patches), vision.temperature, 1, (lat, lon))
    for part in parts:
        search.add(part)
    rows = score(search, (lat, lon), vision.card.holdout_block_deg)
    if as_json:
        answer = {"patches": len(lat), "places": search.places, "scores": [asdict(row) for row in rows]}
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(f"{len(lat):,} held-out patches, {search.places:,} places to choose from")
    click.echo("| within | places located | at random | at best |\n|---|---|---|---|")
    for row in rows:
        click.echo(_line(row))


def _line(row: "LocateScore") -> str:
    share = f"{100 * row.share:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f})"
    return f"| {row.radius_km:,} km | {share} | {100 * row.chance:.2g} % | {100 * row.possible:.1f} % |"


def _tell(result: "LocatedPlaces", top: int, own: tuple[float, float] | None, as_json: bool) -> None:
    import json

    from pm25map.laboratory.world.sphere import distance_km

    rows = []
    for lat, lon, share in zip(result.lat[0], result.lon[0], result.probability[0], strict=True):
        row = {"lat": round(float(lat), 4), "lon": round(float(lon), 4), "probability": float(f"{share:.4g}")}
        if own is not None:
            row["away_km"] = round(distance_km(float(lat), float(lon), *own), 1)
        rows.append(row)
    rows = rows[:top]
    if as_json:
        click.echo(json.dumps({"places": result.places, "found": rows}, indent=2))
        return
    for rank, row in enumerate(rows, 1):
        away = f"  {row['away_km']:8,.0f} km away" if own is not None else ""
        click.echo(
            f"{rank:3d}  {row['lat']:9.4f} {row['lon']:10.4f}  {100 * row['probability']:7.3f} %{away}"
        )
    if own is not None:
        click.echo(f"The file lies at {own[0]:.4f} {own[1]:.4f}: the tower did not see it")


@click.command()
@click.option(
    "--model", "name", default="places-open", show_default=True, help="Encoder with a vision tower."
)
@click.option("--rasters", type=PATH, required=True, help="Folder of the world rasters of its card.")
@click.option("--lat", type=Number(), required=True, help="Degrees north.")
@click.option("--lon", type=Number(), required=True, help="Degrees east, west negative.")
@click.option("--out", type=PATH, required=True, help="GeoTIFF to write.")
@click.option("--overwrite", is_flag=True, help="Replace the GeoTIFF.")
def patch(*, name: str, rasters: Path, lat: float, lon: float, out: Path, overwrite: bool) -> None:
    """Cut the patch around a place from world rasters, as pm25map lab places locate takes it.

    A GeoTIFF with a band for each channel of the encoder's card, as the raster has it, north up.

    \b
    Try: pm25map lab places patch --rasters global --lat 39.1 --lon -108.6 --out patch.tif
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_outputs
    from pm25map.laboratory.encoders.vision import open_vision
    from pm25map.laboratory.locate.patch_file import cut_patch, write_patch

    check_outputs([out], _rasters_in(rasters), overwrite=overwrite)
    vision = open_vision(name)
    cut = cut_patch(vision.card, vision.name, rasters, lat, lon)
    write_patch(cut, vision.card, out, overwrite=overwrite)
    side = vision.card.pixels
    click.echo(f"{out}: {len(vision.card.channels)} channels, {side} x {side} pixels")

"""`pm25map lab audit`: plants leaks and looks for them, then looks for them where none was planted."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import monitors_and_store
from pm25map.cli.options import FILE, model_option, progress_bar
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.laboratory.audit.rows import AuditWorld

PATH = FILE


@click.command()
@click.option(
    "--monitors", type=PATH, help="EPA's daily files, or a folder of them. Default: an invented world."
)
@click.option(
    "--predictors", type=PATH, help="Store with the static layers of those days (pm25map data ingest)."
)
@model_option("Whose features to audit.")
@click.option(
    "--year",
    type=Count(min=1998),
    default=2021,
    show_default=True,
    help="The days lie around its 1 January.",
)
@click.option(
    "--stations",
    type=Count(min=40),
    default=120,
    show_default=True,
    help="Drawn among those that measured.",
)
@click.option("--seed", type=Count(min=0), default=0, show_default=True, help="Of all draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    monitors: Path | None,
    predictors: Path | None,
    model_name: str,
    year: int,
    stations: int,
    seed: int,
    as_json: bool,
) -> None:
    """Search what training is given for leaks of the truth, and prove that the search would find them.

    Ten kinds of leak are planted one after another, and each has to be found; in what a study's matrix and
    pm25map train make of the same stations, none may be. A search changes the truth (ug/m3) and predictors of
    stations or days and watches which inputs, labels, scales and places move. It takes about a minute. Exit
    code 3 if a pipeline leaks or a planted leak is missed.

    \b
    Try: pm25map lab audit --monitors aqs --predictors static.zarr
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadStudy
    from pm25map.laboratory.audit.folds import study_pipeline
    from pm25map.laboratory.audit.run import audit
    from pm25map.laboratory.audit.shipped import train_pipeline
    from pm25map.laboratory.audit.worlds import INVENTED_FEATURES, invented_world, real_world
    from pm25map.laboratory.study.variants import variant_of
    from pm25map.model.card import load_model

    if (monitors is None) != (predictors is None):
        raise BadStudy("give --monitors and --predictors together, or neither for an invented world")
    world: AuditWorld
    if monitors is not None and predictors is not None:
        card = load_model(model_name).card
        features, geolocation = card.scaler.features, card.place.encoder
        world = real_world(*monitors_and_store(monitors, predictors), features, year, stations, seed)
        what = f"features of {card.name}, real stations"
    else:
        features, geolocation = INVENTED_FEATURES, "latlon"
        world = invented_world(seed, min(stations, 80))
        what = "an invented world"
    with progress_bar("searching, leak by leak") as progress:
        pipelines = {
            "study": study_pipeline(features, variant_of(geolocation), seed=seed),
            "train": train_pipeline(features, geolocation, seed),
        }
        searched = audit(pipelines, world, seed, progress)
    leaks = [one.leak for one in searched if any(one.evidence.values())]
    missed = [one.leak for one in searched if not one.planted]
    if as_json:
        rows = [{"leak": one.leak, "evidence": one.evidence, "planted": one.planted} for one in searched]
        days = [str(world.days[0]), str(world.days[-1])]
        click.echo(json.dumps({"stations": len(world.site_ids), "days": days, "findings": rows}, indent=1))
    else:
        click.echo(f"{what}: {len(world.site_ids)} stations, {world.days[0]} to {world.days[-1]}")
        click.echo(f"{'leak':<32}{'planted':<11}{'in the study':<14}in pm25map train")
        for one in searched:
            answers = (f"{'FOUND' if text else 'not found':<14}" for text in one.evidence.values())
            click.echo(f"{one.leak:<32}{'found' if one.planted else 'MISSED':<11}{''.join(answers)}".rstrip())
        for one in searched:
            for name, text in one.evidence.items():
                if text:
                    click.echo(f"{one.leak} in {name}: {text}")
        click.echo(
            f"{len(searched) - len(missed)} of {len(searched)} planted leaks found; "
            f"{len(leaks)} in the pipelines as they are"
        )
    if leaks or missed:
        sys.exit(3)

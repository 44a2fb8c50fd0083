"""`pm25map data impute`: learn to fill the gaps of a daily variable, and fill them."""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import DAY, FILE, progress_bar
from pm25map.cli.words import Count, Number

if TYPE_CHECKING:
    from pm25map.predictors.imputation.recipe import Recipe

STORE = FILE


@click.group()
def impute() -> None:
    """Fill the gaps of a daily variable, such as the aerosol optical depth that clouds hide.

    \b
    Try: pm25map data impute apply --store reference.zarr --model impute-055 --start 2020-08-23 --end 2020-09-12
    """  # noqa: D301 - click reads \b


@impute.command()
@click.option(
    "--store", type=STORE, required=True, help="Folder *.zarr with the variable and its predictors."
)
@click.option("--variable", "name", required=True, help="Variable with gaps: aod_047, aod_055, ndvi.")
@click.option("--start", type=DAY, required=True, help="First day to learn from.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--out", type=STORE, required=True, help="Folder to write.")
@click.option(
    "--algorithm",
    type=click.Choice(["boosting", "forest"]),
    default="boosting",
    show_default=True,
    help="Histogram gradient boosting, or a random forest.",
)
@click.option("--trees", type=Count(min=1), default=200, show_default=True, help="Number of trees.")
@click.option(
    "--samples",
    type=Count(min=500),
    default=500_000,
    show_default=True,
    help="Cell-days at most, chosen at random; a fifth of the days and of the blocks are held out.",
)
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    help="Variable to impute from; repeat. Default: meteorology, smoke, calendar and layers that the store has.",
)
@click.option(
    "--radius",
    "radii",
    type=Number(min=0, min_open=True),
    multiple=True,
    help="Of the buffers, km; repeat, growing. Default: 30, 90, 270.",
)
@click.option("--seed", type=Count(min=0), default=0, show_default=True, help="Of all that is random.")
@click.option("--overwrite", is_flag=True, help="Replace a folder that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def train(
    *,
    store: Path,
    name: str,
    start: dt.date,
    end: dt.date,
    out: Path,
    algorithm: str,
    trees: int,
    samples: int,
    predictors: tuple[str, ...],
    radii: tuple[float, ...],
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Learn two regressions: with the means around a cell on the day, and without where nothing was observed.

    Scores are of values that were hidden, on days and blocks that nothing was learned from; R2 against their mean,
    RMSE in units of the variable.

    \b
    Try: pm25map data impute train --store reference.zarr --variable aod_055 --start 2020-06-01 --end 2020-09-30
           --out impute-055
    """  # noqa: D301 - click reads \b
    from pm25map.predictors.imputation.buffers import RADII_KM
    from pm25map.predictors.imputation.train import ImputationOptions, train_imputation
    from pm25map.predictors.store import open_predictors

    options = ImputationOptions(
        predictors=predictors,
        radii_km=radii or RADII_KM,
        algorithm=algorithm,  # type: ignore[arg-type]  # click checked it
        trees=trees,
        samples=samples,
        seed=seed,
    )
    held = open_predictors(store)
    with progress_bar("days") as progress:
        recipe = train_imputation(
            held, name, start, end, out, options, overwrite=overwrite, progress=progress
        )
    click.echo(recipe.model_dump_json(indent=2) if as_json else "\n".join(_lines(recipe, out)))


def _lines(recipe: "Recipe", out: Path) -> list[str]:
    """Write what was learned for people."""
    lines = [
        f"{out}: {recipe.variable} from {len(recipe.predictors)} predictors on {recipe.days} days, "
        f"{recipe.start} to {recipe.end}"
    ]
    for part, by_held in recipe.scores.items():
        lines.append(f"{part.replace('_', ' ')}, learned from {recipe.samples[part]} cell-days")
        for held, score in by_held.items():
            r2 = "-" if score.r2 is None else f"{score.r2:.3f}"
            rmse = "-" if score.rmse is None else f"{score.rmse:.4g} {recipe.units}".removesuffix(" 1")
            lines.append(f"  held-out {held.replace('_', ' '):<16} R2 {r2:<7} RMSE {rmse:<12} n {score.n}")
    return lines


@impute.command()
@click.option("--store", type=STORE, required=True, help="Folder *.zarr to fill.")
@click.option("--model", "model", type=STORE, required=True, help="Folder that impute train wrote.")
@click.option("--start", type=DAY, required=True, help="First day.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option(
    "--carry-days",
    type=Count(min=0),
    default=3,
    show_default=True,
    help="Days without any observation that the latest day with some is carried over; then climatology.",
)
@click.option("--refill", is_flag=True, help="Fill these days again, such as with another model.")
@click.option("--threads", type=Count(min=1), default=1, show_default=True, help="Of the CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(
    *,
    store: Path,
    model: Path,
    start: dt.date,
    end: dt.date,
    carry_days: int,
    refill: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Write VARIABLE_filled and its flags, VARIABLE_filled_flag, into the store, a day whole or not at all.

    The variable itself stays as it is. Days that are filled are skipped. Flags: 1 observed, 2 imputed, 4 carried
    forward, 8 climatology, 32 missing. Days that lack the variable or a predictor are left out, listed, and end the
    command with exit code 3.

    \b
    Try: pm25map data impute apply --store reference.zarr --model impute-055 --start 2020-08-23 --end 2020-09-12
    """  # noqa: D301 - click reads \b
    from pm25map.base.days import days_between
    from pm25map.predictors.imputation.imputer import Imputer, count_fates, late_days
    from pm25map.predictors.imputation.recipe import load_imputation
    from pm25map.predictors.ingest import ingest_daily
    from pm25map.predictors.store import open_predictors

    days = days_between(start, end)
    held = open_predictors(store)
    imputer = Imputer(held, load_imputation(model, threads), carry_days)
    with progress_bar("days", len(days)) as progress:
        result = ingest_daily(store, imputer, days, progress, again=refill)
    held, target = open_predictors(store), imputer.model.recipe.variable
    counts, late = count_fates(held, target, days), [str(day) for day in late_days(held, target, days)]
    lacking = {str(day): why for day, why in sorted(result.lacking.items())}
    if as_json:
        facts = {"store": str(store), "variables": imputer.variables, "days": result.written}
        click.echo(json.dumps({**facts, "cell_days": counts, "lacking": lacking, "late": late}))
    else:
        click.echo(f"{store}: {result.written} days of {', '.join(imputer.variables)} written")
        whole = max(1, sum(counts.values()))
        for fate, count in counts.items():
            click.echo(f"{fate.replace('_', ' '):<16} {count / whole:7.2%} of {whole} land cell-days")
        for day, why in lacking.items():
            click.echo(f"left out    {day}: {why}")
        for day in late:
            click.echo(f"late        {day}: {target} was ingested after it was filled; add --refill")
    if lacking:
        click.get_current_context().exit(3)

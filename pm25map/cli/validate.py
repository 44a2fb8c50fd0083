"""`pm25map validate`: match-ups of monitors with estimates that they did not feed."""

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import read_and_tell
from pm25map.cli.options import DAY, FILE, model_option, progress_bar
from pm25map.cli.score_lines import score_lines
from pm25map.cli.words import Count

if TYPE_CHECKING:
    import pandas as pd

    from pm25map.model.runtime import Session
    from pm25map.monitors import Monitors
    from pm25map.predictors.reader import Predictors
    from pm25map.scores.validate import StratumScore, Trust

PATH = FILE


@click.command()
@click.option("--date", "day", type=DAY, help="The one day to validate.")
@click.option("--start", type=DAY, help="First day, in place of --date.")
@click.option("--end", type=DAY, help="Last day, included.")
@click.option("--monitors", type=PATH, required=True, help="EPA's daily files, or a folder of them, ug/m3.")
@click.option("--out", type=PATH, required=True, help="Folder for matchups.parquet, scores and pictures.")
@click.option("--maps", type=PATH, help="Folder of maps to compare, in place of estimates of the model.")
@click.option(
    "--neighbours",
    type=PATH,
    help="Monitors that feed the estimates. Default: those of --monitors, each left out of its own.",
)
@model_option()
@click.option(
    "--predictors",
    type=PATH,
    help="Store with the static layers of the model's grid. Default: the sample that comes with it.",
)
@click.option("--threads", type=Count(min=1), help="Of the CPU. Default: the cores.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    day: dt.date | None,
    start: dt.date | None,
    end: dt.date | None,
    monitors: Path,
    out: Path,
    maps: Path | None,
    neighbours: Path | None,
    model_name: str,
    predictors: Path | None,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compare estimates with monitors: match-ups as GeoParquet, scores (ug/m3), scatter, map of bias.

    RMSE, MAE and bias of the estimates, of interpolation and of kriging on the same match-ups, with 95 % intervals
    over stations: in all, by distance to the nearest monitor that feeds them, level, season and region.

    No monitor is compared with an estimate that it fed. Without --maps every station is estimated as if it were
    not there. With --maps, stations at the place of a monitor named by --neighbours are listed as used by the
    map and not scored; without --neighbours any of them may have been used, and nothing can be scored.

    \b
    Try: pm25map validate --date 2020-09-12 --monitors aqs --out validation
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadDate, BadMap
    from pm25map.base.files import check_output, check_outputs, replacing
    from pm25map.scores.matchups import write_matchups
    from pm25map.scores.validate import USED, score_strata
    from pm25map.view.validation import draw_bias_map, draw_scatter

    if (day is None) == (start is None) or (start is None) != (end is None):
        raise BadDate("say which days: either --date, or --start with --end")
    first, last = (day, day) if day else (start, end)
    assert first is not None and last is not None  # noqa: S101 - one of the two was given
    if last < first:
        raise BadDate(f"the period ends on {last}, before it starts on {first}: swap --start and --end")
    files = [out / name for name in ("matchups.parquet", "scores.json", "scatter.png", "bias.png")]
    if out.is_dir():
        check_outputs(files, filter(None, (monitors, neighbours, maps, predictors)), overwrite=overwrite)
    else:
        check_output(out, overwrite=overwrite)
    if maps is not None and not maps.is_dir():
        raise BadMap(f"there is no folder of maps {maps}: name one that pm25map backfill or predict filled")
    # What opens at once is opened before monitors are read.
    opened = _opened(model_name, predictors, threads) if maps is None else None
    measured = read_and_tell(monitors, first, last)
    feeding = read_and_tell(neighbours, first, last) if neighbours else None
    if opened is not None:
        frame, notes = _left_out(*opened, measured, feeding, first, last)
    else:
        from pm25map.scores.validate_maps import match_maps

        assert maps is not None  # noqa: S101 - one of the two was opened
        frame = match_maps(maps, measured, feeding, first, last)
        notes = [f"maps of {maps.name}"]
    rows = score_strata(frame)
    notes += _notes(frame, measured, feeding, first, last)
    fair = frame[frame["station_is"] != USED]
    out.mkdir(exist_ok=True)
    write_matchups(frame, files[0])
    when = f"{first}" if first == last else f"{first} to {last}"
    with replacing(files[1]) as part:
        found = {"days": when, "notes": notes, "scores": [asdict(row) for row in rows]}
        part.write_text(json.dumps(found, indent=1) + "\n")
    what = (
        f"maps of the folder {maps.name}"
        if maps
        else f"model {Path(model_name).name}, every station left out of its own estimate"
    )
    draw_scatter(fair, files[2], when, what, overwrite=overwrite)
    draw_bias_map(fair, files[3], when, what, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps(found | {"files": [str(file) for file in files]}, indent=1))
        return
    click.echo(f"{out}: {len(frame):,} match-ups of {when}; " + "; ".join(notes))
    click.echo("\n".join(score_lines(rows, [_inside(row) for row in rows])))


def _notes(
    frame: "pd.DataFrame", measured: "Monitors", feeding: "Monitors | None", first: dt.date, last: dt.date
) -> list[str]:
    """Describe what fed the estimates of match-ups, and which stations are scored."""
    from pm25map.scores.validate import USED, feeding_words

    mutual = "--monitors themselves, each left out of its own (name others with --neighbours)"
    notes = [feeding_words(feeding or measured, frame, first, last, "--neighbours" if feeding else mutual)]
    fair = frame[frame["station_is"] != USED]
    used = frame[frame["station_is"] == USED]
    notes.append(f"{fair['site_id'].nunique()} stations {fair['station_is'].iloc[0]}: scored")
    if len(used):
        notes.append(f"{used['site_id'].nunique()} stations used by the map: in the match-ups, not scored")
    spoke = measured.between(first, last).observations["site_id"].nunique()
    if spoke > frame["site_id"].nunique():
        notes.append(
            f"{spoke - frame['site_id'].nunique()} stations that measured have no estimate: off the land of the grid, "
            "or without neighbours on a day of the window"
        )
    return notes


def _opened(
    model_name: str, predictors: Path | None, threads: int | None
) -> "tuple[Session, Trust, Predictors]":
    """Open the model, what says where it can be trusted, and the store with its static layers."""
    from pm25map.base.cores import usable_cores
    from pm25map.base.errors import BadPredictors
    from pm25map.model.card import load_model
    from pm25map.model.runtime import open_session
    from pm25map.predictors.reader import open_predictors
    from pm25map.raster.day_source import sample_of
    from pm25map.raster.inputs import open_grid_of
    from pm25map.scores.validate import trust_of

    model = load_model(model_name)
    store = predictors or sample_of(open_grid_of(model, None))
    if store is None:
        raise BadPredictors(
            f"no sample comes with grid {model.card.grid}: name a store with its static layers with --predictors"
        )
    session = open_session(model, "cpu", threads=threads or usable_cores())
    return session, trust_of(model, required=False), open_predictors(store)


def _left_out(
    session: "Session",
    trust: "Trust",
    store: "Predictors",
    measured: "Monitors",
    feeding: "Monitors | None",
    first: dt.date,
    last: dt.date,
) -> "tuple[pd.DataFrame, list[str]]":
    """Estimate every station without itself; give the match-ups and what to say of them."""
    from pm25map.scores.validate import match_left_out

    with progress_bar("neighbours, then targets") as progress:
        frame = match_left_out(session, trust, measured, feeding, store, first, last, progress)
    notes = [f"model {session.card.name}"]
    notes += [f"no {name} in its folder (pm25map calibrate makes it)" for name in trust.missing]
    return frame, notes


def _inside(row: "StratumScore") -> str:
    """Describe how often the 90 % intervals contain the observation."""
    if row.coverage_percent is None or row.width_ugm3 is None:
        return ""
    return f"{row.coverage_percent:.1f} % inside the 90 % intervals, {row.width_ugm3:.1f} ug/m3 wide"

"""`pm25map data now`: EPA's NowCast at every monitor, as a table."""

import datetime as dt
import json
from pathlib import Path

import click

from pm25map.cli.opening import files_read
from pm25map.cli.options import FILE, base_url_option, foreign_option


class HourType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """An hour of UTC by its beginning: 2024-04-17T11."""

    name = "HOUR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Read the hour; a text that is none is an error with exit code 1, as a bad date is."""
        from pm25map.base.errors import BadDate

        try:
            return dt.datetime.strptime(str(value), "%Y-%m-%dT%H").replace(tzinfo=dt.UTC)
        except ValueError as error:
            raise BadDate(
                f"cannot read {value!r} as an hour: write its beginning in UTC, for example 2024-04-17T11"
            ) from error


@click.command()
@click.option(
    "--monitors",
    multiple=True,
    type=FILE,
    help="AirNow's hourly files with a list of sites, or a folder of them; repeat. Default: the latest "
    "hours are fetched.",
)
@click.option(
    "--at",
    type=HourType(),
    help="Latest hour, by its beginning in UTC: 2024-04-17T11. Default: the latest there is.",
)
@foreign_option
@base_url_option
@click.option("--out", type=FILE, required=True, help="Table to write, CSV.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def now(
    *,
    monitors: tuple[Path, ...],
    at: dt.datetime | None,
    foreign_monitors: bool,
    base_url: str | None,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write what the air is like now at AirNow's monitors: EPA's NowCast of the latest twelve hours, ug/m3.

    A NowCast weighs the latest hours most; it is no mean of a day, and no map is made of it. Values are preliminary.

    \b
    Try: pm25map data now --out now.csv
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_outputs, replacing
    from pm25map.monitors.airnow_now import read_nowcast
    from pm25map.predictors.monitor_source import fetch_latest

    check_outputs([out], files_read(None, tuple(map(str, monitors))), overwrite=overwrite)
    files = list(monitors) or fetch_latest(
        at, dt.datetime.now(dt.UTC), base_url=base_url, announce=lambda line: click.echo(line, err=True)
    )
    table = read_nowcast(files, at, outside_us=foreign_monitors)
    hour = f"{table['hour'].iloc[0]:%Y-%m-%d %H}:00 UTC"
    with replacing(out) as part:
        table.assign(hour=table["hour"].dt.strftime("%Y-%m-%dT%H:%MZ")).to_csv(
            part, index=False, float_format="%.6g"
        )
    middle, highest = table["pm25_ugm3"].median(), table["pm25_ugm3"].max()
    if as_json:
        told = {"table": str(out), "hour": hour, "sites": len(table), "median_ugm3": round(float(middle), 1)}
        click.echo(json.dumps(told | {"maximum_ugm3": round(float(highest), 1)}))
        return
    click.echo(
        f"{out}: NowCast of {len(table):,} monitors for the hour from {hour}, preliminary; median {middle:.1f} ug/m3, "
        f"maximum {highest:.1f} ug/m3"
    )

"""`pm25map lab report`: the page of a study."""

from pathlib import Path

import click

from pm25map.cli.options import FILE

PATH = FILE


@click.command()
@click.option(
    "--out",
    type=PATH,
    default="study",
    show_default=True,
    help="Folder of the results (pm25map lab study --config).",
)
@click.option("--page", type=PATH, default="docs/study.md", show_default=True, help="Page to write.")
def command(*, out: Path, page: Path) -> None:
    """Write the report of a study: tables and figures of the runs in a folder, whether all are made or not.

    Errors are in ug/m3. Where PAGE.in lies beside the page it gives the words, such as docs/study.md.in of the
    published study; any other page speaks of its own runs alone.

    \b
    Try: pm25map lab report --out study --page report.md
    """  # noqa: D301 - click reads \b
    from pm25map.laboratory.study.report import check_page, write_report
    from pm25map.laboratory.study.results import join_rows

    check_page(out, page)
    join_rows(out)
    for path in write_report(out, page):
        click.echo(path)

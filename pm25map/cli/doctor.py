"""`pm25map doctor`: what this installation can do, and what is wrong with it."""

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> None:
    """Check this installation, one line a check; exit code 3 when maps cannot be made.

    \b
    Try: pm25map doctor
    """  # noqa: D301 - click reads \b
    from pm25map.raster.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            click.echo(f"{finding.state:<8} {finding.name:<14} {finding.text}")
    if any(finding.state == "problem" for finding in findings):
        click.get_current_context().exit(3)

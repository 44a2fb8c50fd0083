"""docs/performance.md from docs/bench.json and from the notes beside this file: figures are never typed.

Try: python tests/bench/render.py
"""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTES = Path(__file__).with_name("performance.md.in")


def render(held: dict[str, Any]) -> str:
    """Fill the notes: every {{name}} becomes the table of that part."""
    text = NOTES.read_text()
    for name, table in TABLES.items():
        part = held["parts"].get(name)
        filled = "Not measured yet." if part is None else f"{_machine(part)}\n\n{table(part['found'])}"
        text = text.replace(f"{{{{{name}}}}}", filled.rstrip("\n"))
    return text


def _machine(part: dict[str, Any]) -> str:
    on = part["machine"]
    cores = f"{on['cores']} core" + ("s" if on["cores"] > 1 else "")
    has = ", ".join(on["has"]) or "none of the vector extensions we ask for"
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    return f"{cores} of {on['processor']} ({has}), load {on['load']}, Python {on['python']}, {versions}; {part['day']}."


def _engines(found: dict[str, Any]) -> str:
    lines = []
    for table in found["tables"]:
        lstm = "/".join(map(str, table["lstm"]))
        sessions = "one session" if table["sessions"] == 1 else f"{table['sessions']} sessions"
        lines += [
            f"`{table['model']}` ({lstm}, {table['mflop_a_cell']:g} MFLOP a cell), {sessions} of one thread, medians "
            f"of {table['rounds']} rounds; the float32 matrix product beside it ran at {table['gemm_gflops']} "
            "GFLOP a processor second"
            + (f", the one in {table['half']} at {table['half_gflops']}" if table["half"] else "")
            + ":",
            "",
            "| engine | cells/s | against stock | share of the matrix product | worst difference, ug/m3 |",
            "|---|---|---|---|---|",
        ]
        for name, row in table["engines"].items():
            worst = "refused" if row["refused"] else f"{row['worst_ugm3']:.0e}"
            lines.append(
                f"| {name} | {row['cells_per_second']:,} | {row['against_stock']:.2f} | "
                f"{row['share_of_gemm']:.2f} | {'-' if name == 'onnxruntime' else worst} |"
            )
        lines.append("")
    if found["absent"]:
        reasons = "; ".join(f"`{name}`: {reason}" for name, reason in found["absent"].items())
        lines += [f"Not measured here: {reasons}.", ""]
    return "\n".join(lines)


def _cog(found: list[dict[str, Any]]) -> str:
    lines = ["| map | seconds | processor seconds | MB |", "|---|---|---|---|"]
    lines += [
        f"| {row['rows']:,} x {row['cols']:,} | {row['seconds']:.2f} | {row['cpu_seconds']:.2f} | {row['mb']:.1f} |"
        for row in found
    ]
    return "\n".join(lines)


def _backfill(found: dict[str, Any]) -> str:
    one = found["sample"]
    planned, read = one["read_bytes"]
    lines = [
        "| what | figure | bar |",
        "|---|---|---|",
        f"| days; cells estimated | {one['days']}; {one['cells']:,} | |",
        f"| by the clock | {one['seconds']} s, {one['cells_per_second']:,} cells/s | |",
        f"| share of the bare engine's rate, in processor seconds | {one['share_of_engine']:.2f} | 0.85 |",
        f"| reads of a chunk of predictors | {one['chunk_reads']} | 1.7 a month, 1.1 a year |",
        f"| bytes read, planned and counted | {planned:,} and {read:,} | the same |",
        f"| seconds, forecast and measured | {one['forecast_seconds']} and {one['seconds']} | within 25 % |",
        f"| peak memory, forecast and measured, MB | {one['peak_mb'][0]} and {one['peak_mb'][1]} | within 15 %, 2 GB |",
        f"| files, forecast and written, MB | {one['file_mb'][0]} and {one['file_mb'][1]} | |",
        "",
        "| days of a small grid | peak memory, MB |",
        "|---|---|",
        *(f"| {row['days']} | {row['peak_mb']} |" for row in found["memory"]),
    ]
    return "\n".join(lines)


TABLES = {"engines": _engines, "cog": _cog, "backfill": _backfill}


if __name__ == "__main__":
    (DOCS / "performance.md").write_text(render(json.loads((DOCS / "bench.json").read_text())))

"""Scores of probes as a table: a row for each target and split, a column for each encoder."""

from collections.abc import Sequence

from pm25map.laboratory.probes.score import ProbeScore


def as_table(scores: Sequence[ProbeScore]) -> str:
    """Return the scores as Markdown; the best of a row is bold, a target of the encoder's training has a star."""
    encoders = list(dict.fromkeys(score.encoder for score in scores))
    rows = dict.fromkeys((score.target, score.split, score.head) for score in scores)
    by_key = {(s.target, s.split, s.head, s.encoder): s for s in scores}
    lines = [
        "| target | held out | head | " + " | ".join(encoders) + " |",
        "|---" * (3 + len(encoders)) + "|",
    ]
    for target, split, head in rows:
        here = [by_key.get((target, split, head, encoder)) for encoder in encoders]
        best = max(score.score for score in here if score is not None)
        cells = ["" if score is None else _cell(score, best) for score in here]
        lines.append(f"| {target} | {split} | {head} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(score: ProbeScore, best: float) -> str:
    number = f"**{score.score:.3f}**" if score.score == best else f"{score.score:.3f}"
    return f"{number} ({score.low:.3f} to {score.high:.3f}){' *' if score.seen else ''}"

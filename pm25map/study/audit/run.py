"""An audit from end to end: the pipeline as it is, then with each of ten leaks planted in it."""

from collections.abc import Callable
from dataclasses import dataclass

from pm25map.study.audit.detectors import DETECTORS, gather
from pm25map.study.audit.material import AuditWorld, Pipeline, remembered
from pm25map.study.audit.plants import PLANTS, plant


@dataclass(frozen=True)
class Finding:
    """What the search for one kind of leak gave.

    Attributes:
        leak: its name.
        evidence: what was found in the pipeline as it is, in words; empty: nothing.
        planted: what was found once the leak was planted; empty: nothing, so the search is blind.
    """

    leak: str
    evidence: str
    planted: str


def search(pipeline: Pipeline, world: AuditWorld, seed: int = 0) -> dict[str, str]:
    """Search a pipeline for every kind of leak: what was found in words, or nothing, by leak."""
    seen = gather(pipeline, world, seed)
    return {name: detect(seen) for name, detect in DETECTORS.items()}


def audit(
    pipeline: Pipeline,
    world: AuditWorld,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Finding, ...]:
    """Search a pipeline as it is, and prove on planted leaks that each search would have found its own.

    Args:
        pipeline: to audit.
        world: of stations; the clean pipeline is run on it and on five changes of it, once.
        seed: of what is changed and what is planted.
        progress: called with the searches done and in all.

    Raises:
        BadStudy: the fold has too few stations to look at.
    """
    once = remembered(pipeline)
    clean = search(once, world, seed)
    findings = []
    for done, leak in enumerate(PLANTS, start=1):
        seen = gather(plant(leak, once, seed), world, seed)
        findings.append(Finding(leak, clean[leak], DETECTORS[leak](seen)))
        if progress is not None:
            progress(done, len(PLANTS))
    return tuple(findings)

"""An audit from end to end: pipelines as they are, then one of them with each of ten leaks planted in it."""

from collections.abc import Callable
from dataclasses import dataclass

from pm25map.laboratory.audit.detectors import DETECTORS, gather
from pm25map.laboratory.audit.plants import PLANTS, plant
from pm25map.laboratory.audit.rows import AuditWorld, Pipeline, cached


@dataclass(frozen=True)
class LeakFinding:
    """The results of the search for one kind of leak.

    Attributes:
        leak: its name.
        evidence: of the leak in each pipeline as it is, in words; empty where there is none.
        planted: evidence once the leak was planted; empty where the search missed it.
    """

    leak: str
    evidence: dict[str, str]
    planted: str


def search(pipeline: Pipeline, world: AuditWorld, seed: int = 0) -> dict[str, str]:
    """Search a pipeline for every kind of leak: evidence in words, or nothing, by leak."""
    evidence = gather(pipeline, world, seed)
    return {name: detect(evidence) for name, detect in DETECTORS.items()}


def audit(
    pipelines: dict[str, Pipeline],
    world: AuditWorld,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LeakFinding, ...]:
    """Search pipelines as they are, and prove on planted leaks that each search detects its own.

    Args:
        pipelines: to audit, by name; leaks are planted into the first.
        world: of stations; each pipeline is run on it and on five changes of it, once.
        seed: of the changes and the planted leaks.
        progress: called with the searches done and in all.

    Raises:
        BadStudy: a fold has too few stations to look at.
    """
    total = len(pipelines) + len(PLANTS)
    done = 0

    def report_progress() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    once = {name: cached(pipeline) for name, pipeline in pipelines.items()}
    clean = {}
    for name, pipeline in once.items():
        clean[name] = search(pipeline, world, seed)
        report_progress()
    first = next(iter(once.values()))
    findings = []
    for leak in PLANTS:
        with_leak = gather(plant(leak, first, seed), world, seed)
        evidence = {name: found[leak] for name, found in clean.items()}
        findings.append(LeakFinding(leak, evidence, DETECTORS[leak](with_leak)))
        report_progress()
    return tuple(findings)

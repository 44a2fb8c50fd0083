"""How many cores this process may use: what a batch system or a container left of the machine's."""

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def usable_cores(groups: Path = _GROUPS) -> int:
    """Count the cores that this process may use, at least 1.

    Args:
        groups: where Linux shows the control groups; a quota of 1.5 cores counts as 2.
    """
    # os.process_cpu_count came with Python 3.13.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(groups)
    return max(1, allowed if quota is None else min(allowed, -int(-quota // 1)))


def _quota(groups: Path) -> float | None:
    """Read the quota of cores of a container's control group, version 2 or 1; None where there is none."""
    try:
        if (groups / "cpu.max").is_file():
            share, period = (groups / "cpu.max").read_text().split()
        else:
            share, period = (
                (groups / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")
            )
        cores = float(share) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number: there is no quota
        return None
    return cores if cores > 0 else None

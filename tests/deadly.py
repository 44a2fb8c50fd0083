"""A piece of work that ends the process of its worker, for clusters: workers import it by its name."""

import os

from pm25map.raster.backfill.block import compute_block

BLOCK = "PM25MAP_TEST_DEADLY_BLOCK"
"""Variable that names the block, by its id, whose first day kills."""


def deadly_block(job, block, days):
    """Estimate a block as ever; but on the block that is named, on days that begin as named, the process ends."""
    if f"{block.id} {days[0]}" == os.environ[BLOCK]:
        os._exit(1)
    return compute_block(job, block, days)

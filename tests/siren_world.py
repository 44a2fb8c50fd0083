"""A small location encoder as a folder, of weights that nobody trained."""

from pathlib import Path

import numpy as np

from pm25map.grid import load_grid
from pm25map.laboratory.encoders.siren import Siren


def write_a_siren(folder: Path, seed: int = 0) -> None:
    from pm25map.laboratory.encoders.write import write_encoder
    from pm25map.places.card import About

    rng = np.random.default_rng(seed)
    siren = Siren(
        (rng.normal(size=(6, 961)) / 961, rng.normal(size=(3, 6))), (rng.normal(size=6), np.zeros(3)), (30.0,)
    )
    write_encoder(siren, About("small", "", "MIT", "", "", "nowhere"), folder, load_grid("conus-10km"))

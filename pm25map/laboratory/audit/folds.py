"""The pipeline of a study's networks, as an audit takes it: the functions of the matrix, on the stations of a world."""

import tempfile
from pathlib import Path

import numpy as np

from pm25map.laboratory.audit.rows import AuditWorld, FoldRows, Pipeline
from pm25map.laboratory.audit.shipped import WorldStore, monitors_of, rows_of
from pm25map.laboratory.audit.worlds import WINDOW_DAYS
from pm25map.laboratory.study.config import StudyBlock, StudyConfig, Training
from pm25map.laboratory.study.data import prepare_fields, read_fold, read_study_data
from pm25map.laboratory.study.splits import make_split
from pm25map.laboratory.study.variants import VARIANTS
from pm25map.model.card import NetworkShape
from pm25map.model.places import place_vectors
from pm25map.predictors.kriging import MEMORY_DAYS


def study_pipeline(
    features: tuple[str, ...], variant: str, split: str = "checkerboard-8-2", fold: int = 0, seed: int = 0
) -> Pipeline:
    """Build the pipeline of one run of a study's matrix: features, a network's variant, a split of whole stations."""

    def pipeline(world: AuditWorld) -> FoldRows:
        from pm25map.laboratory.study.networks import train_fold  # noqa: PLC0415 - torch is slow to import

        config = StudyConfig(
            name="audit",
            description="One step, for what is fitted before it.",
            features=features,
            window_days=WINDOW_DAYS,
            blocks=(StudyBlock(start=world.days[MEMORY_DAYS + WINDOW_DAYS - 1], end=world.days[-1]),),
            splits={split: (fold,)},
            variants=(variant,),
            seeds=(seed,),
            split_seed=seed,
            network=NetworkShape(lstm=(2, 2, 2), attention=2, dense=2, head="plain"),
            training=Training(batch=1, epochs=1, targets_an_epoch=1),
        )
        chosen = VARIANTS[variant]
        if chosen.network is None:
            raise ValueError(f"{variant} is no network")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data = read_study_data(config, monitors_of(world), WorldStore(world))  # type: ignore[arg-type]  # as training
            one = make_split(split, data.world, seed).folds[fold]
            prepare_fields(folder, data, [one])
            fold_data = read_fold(folder, data, config, one, seed)
            place, _ = place_vectors(chosen.network.geolocation, fold_data.samples.lat, fold_data.samples.lon)
            trained = train_fold(fold_data, place, config.train_config(chosen, seed), folder, "cpu")
        targets = np.concatenate([fold_data.learned, fold_data.validated, fold_data.judged])
        is_test = np.arange(len(targets)) >= len(targets) - len(fold_data.judged)
        return rows_of(fold_data.samples, place, targets, is_test, trained.scaler, trained.target_scale)

    return pipeline

"""One run of a study: a variant on a fold, from its data to its row."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from pm25map.base.errors import BadInstall, BadModel, UnknownName
from pm25map.laboratory.study import baselines, results
from pm25map.laboratory.study.config import StudyConfig
from pm25map.laboratory.study.data import FoldData, StudyData, read_fold
from pm25map.laboratory.study.splits import Split
from pm25map.laboratory.study.variants import NO_SATCLIP, VARIANTS
from pm25map.model.card import Geolocation
from pm25map.model.places import place_vectors
from pm25map.scores.sums import score

Estimates = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]


@dataclass(eq=False)
class RunContext:
    """State that a process keeps from run to run.

    Attributes:
        config: of the study.
        data: of the study.
        splits: by name.
        folder: of the results.
        fields: folder of the folds' fields.
        device: of torch.
        threads: of a run.
        versions, commit: of the code, as rows name them.
    """

    config: StudyConfig
    data: StudyData
    splits: dict[str, Split]
    folder: Path
    fields: Path
    device: str
    threads: int
    versions: str
    commit: str
    _fold: tuple[tuple[str, int, int], FoldData] | None = field(default=None, repr=False)
    _places: dict[Geolocation, Vectors | None] = field(default_factory=dict, repr=False)

    def fold(self, run: results.StudyRun) -> FoldData:
        """Return the data of a run's fold; that of the last one is kept."""
        key = run.split, run.fold, run.seed
        if self._fold is None or self._fold[0] != key:
            fold = self.splits[run.split].folds[run.fold]
            self._fold = key, read_fold(self.fields, self.data, self.config, fold, run.seed)
        return self._fold[1]

    def places(self, geolocation: Geolocation) -> Vectors | None:
        """Return the stations' vectors, float32 (station, d), as a place store holds them; None for none.

        Raises:
            BadModel, BadInstall, UnknownName: the encoder's file is absent or damaged, or its package is.
        """
        if geolocation not in self._places:
            one = self.data.samples
            self._places[geolocation], _ = place_vectors(geolocation, one.lat, one.lon)
        return self._places[geolocation]


def make_run(
    context: RunContext, run: results.StudyRun, on_step: Callable[[int, int], None] | None = None
) -> dict[str, object]:
    """Run a variant on a fold and write the files, the row last: a run is whole or has no row.

    Args:
        context: of the process.
        run: which.
        on_step: called with the steps of training done and those in all.

    Returns:
        Its row.

    Raises:
        BadMonitors: nothing is left to learn from.
    """
    variant = VARIANTS[run.variant]
    row = _provenance(context)
    place: Vectors | None = None
    reason = ""
    if variant.network is not None:
        geolocation = context.config.geolocation_of(variant.network)
        try:
            place = None if geolocation is None else context.places(geolocation)
            reason = NO_SATCLIP if geolocation is None else ""
        except (BadModel, BadInstall, UnknownName) as error:
            reason = str(error)
    if reason:
        row |= {"status": "not run", "reason": reason}
        results.write_row(context.folder, run, row)
        return row
    began = time.monotonic()
    fold_data = context.fold(run)
    epochs = 0
    with threadpool_limits(context.threads):
        if variant.network is not None:
            estimates, epochs = _network(context, run, fold_data, place, on_step)
        elif variant.field is not None:
            estimates = baselines.field_estimates(fold_data, variant.field)
        elif run.variant == "kriging":
            estimates = baselines.kriged_estimates(fold_data, run.seed)
        else:
            estimates = baselines.boosted_estimates(fold_data, run.seed)
    station, day = fold_data.judged[:, 0], fold_data.judged[:, 1]
    truth = fold_data.samples.truth[station, day]
    _write_predictions(context, run, fold_data, estimates)
    scores = score(pd.DataFrame({"site_id": station, "truth": truth, "prediction": estimates}))
    row |= {name: scores[name] for name in ("n", "r2", "rmse", "mae", "mbe", "rmse_within", "rmse_between")}
    row |= {
        "status": "done",
        "stations": len(np.unique(station)),
        "epochs": epochs,
        "seconds": round(time.monotonic() - began, 2),
    }
    results.write_row(context.folder, run, row)
    return row


def _provenance(context: RunContext) -> dict[str, object]:
    return {
        "device": context.device,
        "threads": context.threads,
        "versions": context.versions,
        "commit": context.commit,
        "data_checksum": context.data.checksum,
    }


def _network(
    context: RunContext,
    run: results.StudyRun,
    fold_data: FoldData,
    place: Vectors | None,
    on_step: Callable[[int, int], None] | None,
) -> tuple[Estimates, int]:
    """Train a network and let it judge; give its estimates (target,) and how many epochs it took."""
    import torch  # noqa: PLC0415 - baselines need none

    from pm25map.laboratory.study.networks import estimates_of, explain, train_fold  # noqa: PLC0415
    from pm25map.model.train import CHECKPOINT  # noqa: PLC0415

    torch.set_num_threads(context.threads)
    config = context.config.train_config(VARIANTS[run.variant], run.seed)
    checkpoints = context.folder / "checkpoints" / run.id
    checkpoints.mkdir(parents=True, exist_ok=True)
    trained = train_fold(fold_data, place, config, checkpoints, context.device, on_step)
    estimates = estimates_of(trained, fold_data, place, config.window_days, context.device)
    if any(
        one.split == run.split and one.fold == run.fold and run.variant in one.variants
        for one in context.config.explained
    ):
        explanation = explain(trained, fold_data, place, config.window_days, context.device, run.seed)
        _write_explanation(context.folder, run, explanation.attention, explanation.importance)
    (checkpoints / CHECKPOINT).unlink()
    checkpoints.rmdir()
    return estimates, len(trained.epochs)


def _write_predictions(
    context: RunContext, run: results.StudyRun, fold_data: FoldData, estimates: Estimates
) -> None:
    one = fold_data.samples
    station, day = fold_data.judged[:, 0], fold_data.judged[:, 1]
    distance = (
        one.values[station, day, one.features.index("neighbours_distance")]
        if "neighbours_distance" in one.features
        else np.full(len(station), np.nan, dtype=np.float32)
    )
    table = pa.table(
        {
            "site_id": pa.array(np.array(one.site_ids)[station].tolist(), pa.string()),
            "date": pa.array(np.array(one.days, dtype="datetime64[D]")[day], pa.date32()),
            "truth": pa.array(one.truth[station, day], pa.float32()),
            "prediction": pa.array(estimates, pa.float32()),
            "distance_km": pa.array(distance, pa.float32()),
            "parameter_code": pa.array(context.data.codes[day, station], pa.int32()),
        }
    )
    results.write_table(context.folder / "predictions" / f"{run.id}.parquet", table)


def _write_explanation(
    folder: Path, run: results.StudyRun, attention: npt.NDArray[np.float64], importance: dict[str, float]
) -> None:
    days = pa.table(
        {"day_before": pa.array(range(len(attention)), pa.int32()), "weight": pa.array(attention)}
    )
    features = pa.table({"feature": list(importance), "rmse_increase": list(importance.values())})
    results.write_table(folder / "attention" / f"{run.id}.parquet", days)
    results.write_table(folder / "importance" / f"{run.id}.parquet", features)

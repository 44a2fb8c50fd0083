"""The folder of a study's results: one row a run, its predictions, the stations. The matrix writes it.

| file | what |
|---|---|
| runs.parquet | one row a run: split, fold, variant, seed, status, reason, scores, time, versions |
| stations.parquet | site_id, latitude, longitude, state, region, urban, held_out |
| predictions/RUN.parquet | site_id, date, truth, prediction (ug m-3), distance_km to the nearest training station |
| attention/RUN.parquet | day_before (0 is the estimated day), weight: optional |
| importance/RUN.parquet | feature, rmse_increase (ug m-3, permuted at the test stations): optional |
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet as pq

from pm25map.base.errors import BadStudy
from pm25map.laboratory.study.results import read_rows

DONE = "done"
RUN_COLUMNS = ("split", "fold", "variant", "seed", "status", "reason")
STATION_COLUMNS = ("site_id", "latitude", "longitude", "region", "urban")
PREDICTION_COLUMNS = ("site_id", "date", "truth", "prediction", "distance_km")


@dataclass(frozen=True, eq=False)
class Results:
    """A folder of results, read on demand.

    Attributes:
        folder: where it lies.
        runs: one row a run, by split, variant, fold and seed.
        stations: by site_id, latitude and longitude in degrees.
    """

    folder: Path
    runs: pd.DataFrame
    stations: pd.DataFrame

    @property
    def done(self) -> pd.DataFrame:
        """Keep the runs that ended well."""
        return self.runs[self.runs["status"] == DONE]

    def predictions(self, split: str, variant: str) -> pd.DataFrame:
        """Read what all runs of a split and variant predicted.

        Returns:
            site (int, row of `stations`), date, fold, seed, truth and prediction (ug m-3), distance_km, and smoke
            (bool) where the runs have it; rows without a truth or a prediction are left out.

        Raises:
            BadStudy: a file is missing, or names a station that is not in the table of stations.
        """
        runs = self.done[(self.done["split"] == split) & (self.done["variant"] == variant)]
        if runs.empty:
            raise BadStudy(
                f"{self.folder} holds no finished run of {variant} on {split}: run the matrix first"
            )
        parts = []
        for fold, seed in zip(runs["fold"], runs["seed"], strict=True):
            path = self.folder / "predictions" / f"{split}-{fold}-{variant}-{seed}.parquet"
            parts.append(_read(path, PREDICTION_COLUMNS).assign(fold=int(fold), seed=int(seed)))
        frame = pd.concat(parts, ignore_index=True)
        code, names = pd.factorize(frame["site_id"])
        number = pd.Index(self.stations["site_id"]).get_indexer(pd.Index(names.astype(str)))
        site = number[code]
        if (number < 0).any():
            lost = names[number < 0][0]
            raise BadStudy(f"station {lost} was predicted and is not in {self.folder / 'stations.parquet'}")
        known = frame["truth"].notna() & frame["prediction"].notna()
        frame = frame.assign(site=site, date=pd.to_datetime(frame["date"]))
        return frame[known].drop(columns="site_id").reset_index(drop=True)

    def extras(self, kind: str) -> pd.DataFrame:
        """Read what runs left in the folder attention or importance, with split, variant, fold and seed; or nothing."""
        parts = []
        columns = [self.done[name].astype(str) for name in ("split", "fold", "variant", "seed")]
        for split, fold, variant, seed in zip(*columns, strict=True):
            path = self.folder / kind / f"{split}-{fold}-{variant}-{seed}.parquet"
            if path.is_file():
                parts.append(
                    _read(path, ()).assign(split=split, variant=variant, fold=int(fold), seed=int(seed))
                )
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def read_results(folder: Path) -> Results:
    """Open a folder of results, of a matrix that ended or is under way.

    Raises:
        BadStudy: a table or a column is missing, or no run ended well.
    """
    # The rows of single runs are there while a matrix is still under way; the table of all, once it ended.
    part = any((folder / "runs").glob("*.parquet"))
    runs = read_rows(folder).to_pandas() if part else _read(folder / "runs.parquet", RUN_COLUMNS)
    stations = _read(folder / "stations.parquet", STATION_COLUMNS).astype({"site_id": "str"})
    runs = runs.sort_values(["split", "variant", "fold", "seed"], ignore_index=True)
    twice = runs.duplicated(["split", "variant", "fold", "seed"])
    if twice.any():
        row = runs[twice].iloc[0]
        raise BadStudy(
            f"{folder / 'runs.parquet'} holds {row['variant']} on {row['split']}, fold {row['fold']}, twice: "
            "remove it and let pm25map evaluate write it again"
        )
    if not (runs["status"] == DONE).any():
        raise BadStudy(f"no run of {folder} is done: run pm25map lab study --config with this folder first")
    return Results(folder, runs, stations.sort_values("site_id", ignore_index=True))


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        # Days as datetime64: a million dates as Python objects take a minute.
        frame: pd.DataFrame = pq.read_table(path).to_pandas(date_as_object=False)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        raise BadStudy(
            f"cannot read {path}: {first}. Run the matrix again: it goes on where it stopped"
        ) from error
    missing = [name for name in columns if name not in frame]
    if missing:
        raise BadStudy(f"{path} has no columns {', '.join(missing)}: it was written by another version")
    return frame

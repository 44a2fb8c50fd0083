"""The folder of a trained run: its weights, their metadata, and real windows to check the export by."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from pm25map.base.errors import BadModel
from pm25map.base.files import replacing
from pm25map.model.card import ModelCard, Parity, PlaceInput, TrainingRecord
from pm25map.model.config import TrainConfig
from pm25map.model.network import Network
from pm25map.model.train import build_network
from pm25map.predictors.variables import variable
from pm25map.windows.scaler import Scaler

WEIGHTS, RUN, WINDOWS = "weights.pt", "run.json", "windows.npz"


class RunMetadata(BaseModel):
    """Everything but the weights that a run needs to become a model.

    Attributes:
        config: that was trained.
        scaler: fitted on the training stations.
        target_scale: standard deviation of the truth, ug m-3.
        place: the network's input of the place.
        grid, grid_checksum: of the predictors.
        record: of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainConfig
    scaler: Scaler
    target_scale: float
    place: PlaceInput
    grid: str
    grid_checksum: str
    record: TrainingRecord

    def draft_card(self, version: str) -> ModelCard:
        """Return the card; the fields that follow from the exported file are still empty."""
        return ModelCard(
            name=self.config.name,
            version=version,
            description=self.config.description,
            window_days=self.config.window_days,
            scaler=self.scaler,
            units={name: variable(name).units for name in self.scaler.features},
            place=self.place,
            network=self.config.network,
            target_scale=self.target_scale,
            grid=self.grid,
            grid_checksum=self.grid_checksum,
            opset=0,
            network_checksum="",
            training=self.record,
            parity=Parity(windows=0, worst_scaled=0, worst_ugm3=0),
        )


def save_run(
    folder: Path,
    metadata: RunMetadata,
    network: Network,
    windows: npt.NDArray[np.float32],
    place: npt.NDArray[np.float32] | None,
) -> None:
    """Write a trained run into its folder; run.json comes last: where it exists, the others are whole."""
    with replacing(folder / WEIGHTS) as part:
        torch.save(network.state_dict(), part)
    with replacing(folder / WINDOWS) as part, part.open("wb") as handle:
        arrays = {"windows": windows} if place is None else {"windows": windows, "place": place}
        np.savez(handle, **arrays)  # type: ignore[arg-type]  # numpy types allow_pickle among them
    with replacing(folder / RUN) as part:
        part.write_text(metadata.model_dump_json(indent=1))


TrainedRun = tuple[RunMetadata, Network, npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""A trained run: its metadata, its network, and real windows and places to check the export by."""


def load_run(folder: Path) -> TrainedRun:
    """Read a trained run from its folder.

    Raises:
        BadModel: the folder holds no finished run.
    """
    if not (folder / RUN).is_file():
        raise BadModel(f"{folder} holds no finished training run ({RUN} is absent). Run pm25map train first")
    try:
        metadata = RunMetadata.model_validate_json((folder / RUN).read_bytes())
    except ValidationError as error:
        raise BadModel(f"{folder / RUN} is damaged: {error.errors()[0]['msg']}. Train again") from error
    network = build_network(
        metadata.config.network,
        metadata.scaler,
        metadata.config.geolocation,
        metadata.place.dimension,
        metadata.target_scale,
    )
    try:
        network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    except RuntimeError as error:
        raise BadModel(
            f"{folder / WEIGHTS} are weights of another network than {RUN} says. Train again"
        ) from error
    network.eval()
    with np.load(folder / WINDOWS, allow_pickle=False) as arrays:
        return metadata, network, arrays["windows"], arrays.get("place")

"""GeoCLIP's image side: a photo becomes a vector beside those of places. Needs torch, and CLIP's weights on disk.

GeoCLIP's own package brings the last two layers. What stands before them, CLIP ViT-L/14 (Radford et al. 2021), is
1.7 GB that the user fetches; nothing is fetched here. Its vision half is written out below in torch, so that neither
transformers nor torchvision is loaded for it.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from pm25map.base.errors import BadInstall, BadModel, BadRaster
from pm25map.laboratory.encoders.vision import unit
from pm25map.laboratory.locate.geoclip_package import packaged
from pm25map.places.location_encoder import Vectors

BACKBONE = "openai/clip-vit-large-patch14"
WEIGHTS = "model.safetensors"

_MLP, _SCALE = "image_encoder_mlp_weights.pth", "logit_scale_weights.pth"

_SIDE, _PATCH, _HEAD = 224, 14, 64
_MEAN, _SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's photos, red, green, blue, 0 to 1."""

State = dict[str, Tensor]


class GeoclipPhotos:
    """GeoCLIP's image encoder.

    Attributes:
        name: of the encoder of places beside it.
        temperature: cosines divided by it are logits.
    """

    name = "geoclip"

    def __init__(self, backbone: Path | None = None) -> None:
        """Read the weights.

        Args:
            backbone: CLIP's model.safetensors or the folder that holds it; the user's Hugging Face cache where None.

        Raises:
            BadInstall: the backbone is not on disk, or the geoclip package is absent.
            BadModel: the weights are of another layout, or damaged.
        """
        self._clip = _read_clip(find_backbone(backbone))
        tensors = torch.load(packaged(_MLP), map_location="cpu", weights_only=True)
        self._mlp = {name: value.float() for name, value in tensors.items()}
        scale = torch.load(packaged(_SCALE), map_location="cpu", weights_only=True)
        self.temperature = float(torch.exp(-scale.detach()))

    def see(self, photo: Path) -> Vectors:
        """Return the unit vector of a photo: float32 (1, 512).

        Raises:
            BadRaster: the file is absent or no picture.
        """
        with torch.no_grad():
            vector = _clip_vector(self._clip, torch.from_numpy(read_photo(photo))[None])
            for name in ("0", "2"):
                vector = functional.linear(vector, self._mlp[f"{name}.weight"], self._mlp[f"{name}.bias"])
                vector = functional.relu(vector) if name == "0" else vector
        return unit(vector.numpy())


def find_backbone(named: Path | None = None) -> Path:
    """Find CLIP's weights on this machine.

    Raises:
        BadInstall: they are not there.
    """
    get = f"Fetch it once (1.7 GB): hf download {BACKBONE} {WEIGHTS}, or name the file or its folder: --backbone"
    if named is not None:
        path = named / WEIGHTS if named.is_dir() else named
        if not path.is_file():
            raise BadInstall(f"GeoCLIP's backbone {path} does not exist. {get}")
        return path
    try:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - only where it is needed
    except ImportError as error:
        raise BadInstall(
            "GeoCLIP's image side needs the geoclip package. Run: pip install 'pm25map[laboratory]'"
        ) from error
    cached = try_to_load_from_cache(BACKBONE, WEIGHTS)
    if not isinstance(cached, str):
        raise BadInstall(
            f"GeoCLIP's image side needs its CLIP backbone, {BACKBONE}, which is not on this disk. {get}"
        )
    return Path(cached)


def read_photo(path: Path) -> npt.NDArray[np.float32]:
    """Read a photo as CLIP takes it: float32 (3, 224, 224), the middle square, standardized.

    Raises:
        BadRaster: the file is absent or no picture.
    """
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(path) as image:
            photo = image.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise BadRaster(
            f"cannot read the photo {path}: {str(error)[:120]}. GeoCLIP sees photos: give a JPEG or PNG"
        ) from error
    short = min(photo.size)
    width, height = (int(_SIDE * side / short) for side in photo.size)
    photo = photo.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - _SIDE) // 2, (height - _SIDE) // 2
    values = np.asarray(photo.crop((left, top, left + _SIDE, top + _SIDE)), np.float32) / 255
    values = (values - np.array(_MEAN, np.float32)) / np.array(_SPREAD, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _read_clip(path: Path) -> State:
    """Read the vision half of CLIP, by transformers' names without their first word."""
    try:
        with safe_open(path, "pt") as source:
            # The file is no mapping: its keys come from a method.
            keys = list(source.keys())
            names = [key for key in keys if key.startswith(("vision_model.", "visual_projection."))]
            state = {name.removeprefix("vision_model."): source.get_tensor(name).float() for name in names}
    except (SafetensorError, OSError) as error:
        raise BadModel(
            f"{path} cannot be read as safetensors: {str(error)[:120]}. Fetch {BACKBONE} again"
        ) from error
    blocks = {int(name.split(".")[2]) for name in state if name.startswith("encoder.layers.")}
    wanted = [
        "embeddings.class_embedding",
        "embeddings.patch_embedding.weight",
        "embeddings.position_embedding.weight",
        "visual_projection.weight",
        *(f"{norm}.{kind}" for norm in ("pre_layrnorm", "post_layernorm") for kind in ("weight", "bias")),
        *(
            f"encoder.layers.{i}.{part}.{kind}"
            for i in range(max(blocks, default=0) + 1)
            for part in _PARTS
            for kind in ("weight", "bias")
        ),
    ]
    missing = [name for name in wanted if name not in state]
    if missing or state["visual_projection.weight"].shape[0] != 768:
        raise BadModel(
            f"{path} is of another layout: {missing[0] if missing else 'its projection'} is not CLIP ViT-L/14's. "
            f"Give {WEIGHTS} of {BACKBONE}"
        )
    return state


_PARTS = (
    "layer_norm1",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "layer_norm2",
    "mlp.fc1",
    "mlp.fc2",
)


def _clip_vector(state: State, photo: Tensor) -> Tensor:
    """Return CLIP's vector of photos (photo, 768)."""

    def norm(value: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            value, value.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-5
        )

    def linear(value: Tensor, name: str) -> Tensor:
        return functional.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])

    cells = functional.conv2d(photo, state["embeddings.patch_embedding.weight"], stride=_PATCH)
    cells = cells.flatten(2).transpose(1, 2)
    first = state["embeddings.class_embedding"].expand(len(photo), 1, -1)
    hidden = torch.cat([first, cells], dim=1) + state["embeddings.position_embedding.weight"]
    hidden = norm(hidden, "pre_layrnorm")
    count, tokens, width = hidden.shape
    depth = sum(name.endswith("mlp.fc1.bias") for name in state)
    for i in range(depth):
        layer = f"encoder.layers.{i}"
        even = norm(hidden, f"{layer}.layer_norm1")
        q, k, v = (
            linear(even, f"{layer}.self_attn.{name}_proj")
            .view(count, tokens, width // _HEAD, _HEAD)
            .transpose(1, 2)
            for name in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(hidden.shape)
        hidden = hidden + linear(mixed, f"{layer}.self_attn.out_proj")
        wide = linear(norm(hidden, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        # CLIP's own approximation of GELU.
        hidden = hidden + linear(wide * torch.sigmoid(1.702 * wide), f"{layer}.mlp.fc2")
    return functional.linear(norm(hidden[:, 0], "post_layernorm"), state["visual_projection.weight"])

"""GeoCLIP's image side: CLIP's vision half by an oracle, a photo located, and what is said where weights lack."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pm25map.base.errors import BadInstall, BadModel, BadRaster
from pm25map.cli.main import cli

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch


def run(*words: object):
    return CliRunner().invoke(cli, ["lab", "places", *map(str, words)])


def tiny_clip(folder: Path):
    """A CLIP of one layer and two heads in the layout of the published file, and its vision half by torch's layers."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)

    def some(*shape: int):
        return 0.1 * torch.randn(*shape, generator=generator)

    width, wide = 128, 64
    state = {
        "vision_model.embeddings.class_embedding": some(width),
        "vision_model.embeddings.patch_embedding.weight": some(width, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": some(257, width),
        "visual_projection.weight": some(768, width),
        "logit_scale": some(1),
    }
    layer = "vision_model.encoder.layers.0"
    for norm in ("vision_model.pre_layrnorm", "vision_model.post_layernorm", f"{layer}.layer_norm1",
                 f"{layer}.layer_norm2"):  # fmt: skip
        state |= {f"{norm}.weight": 1 + some(width), f"{norm}.bias": some(width)}
    for name, shape in {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (width, width),
        "self_attn.v_proj": (width, width), "self_attn.out_proj": (width, width),
        "mlp.fc1": (wide, width), "mlp.fc2": (width, wide),
    }.items():  # fmt: skip
        state |= {f"{layer}.{name}.weight": some(*shape), f"{layer}.{name}.bias": some(shape[0])}
    save_file(state, folder / "model.safetensors")
    return state


def by_torchs_layers(state: dict, photo):
    """The vision half of CLIP by torch's own encoder layer: an oracle."""

    def quick(x):
        return x * torch.sigmoid(1.702 * x)

    get = {name.removeprefix("vision_model."): value for name, value in state.items()}
    width = get["embeddings.class_embedding"].numel()
    layer = torch.nn.TransformerEncoderLayer(
        width, 2, 64, dropout=0, activation=quick, batch_first=True, norm_first=True
    )
    own = "encoder.layers.0"
    attention = {
        f"in_proj_{kind}": torch.cat([get[f"{own}.self_attn.{n}_proj.{kind}"] for n in "qkv"])
        for kind in ("weight", "bias")
    }
    loaded = {f"self_attn.{name}": value for name, value in attention.items()}
    theirs = {"self_attn.out_proj": "self_attn.out_proj", "norm1": "layer_norm1", "norm2": "layer_norm2",
              "linear1": "mlp.fc1", "linear2": "mlp.fc2"}  # fmt: skip
    for mine, name in theirs.items():
        loaded |= {f"{mine}.{kind}": get[f"{own}.{name}.{kind}"] for kind in ("weight", "bias")}
    layer.load_state_dict(loaded)
    patches = torch.nn.functional.unfold(photo, 14, stride=14).transpose(1, 2)
    cells = patches @ get["embeddings.patch_embedding.weight"].reshape(width, -1).T
    tokens = torch.cat([get["embeddings.class_embedding"].expand(1, 1, width), cells], dim=1)
    tokens = tokens + get["embeddings.position_embedding.weight"]
    norm = torch.nn.functional.layer_norm
    first = norm(tokens, (width,), get["pre_layrnorm.weight"], get["pre_layrnorm.bias"])
    last = norm(layer(first)[:, 0], (width,), get["post_layernorm.weight"], get["post_layernorm.bias"])
    return last @ get["visual_projection.weight"].T


def write_photo(path: Path) -> Path:
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)).save(path)
    return path


def test_the_vision_half_of_clip_is_that_of_torchs_own_layers(tmp_path: Path) -> None:
    from pm25map.laboratory.locate.geoclip_photo import _clip_vector, _read_clip, read_photo

    state = tiny_clip(tmp_path)
    photo = torch.from_numpy(read_photo(write_photo(tmp_path / "a.png")))[None]
    assert photo.shape == (1, 3, 224, 224)
    with torch.no_grad():
        ours = _clip_vector(_read_clip(tmp_path / "model.safetensors"), photo)
        np.testing.assert_allclose(ours, by_torchs_layers(state, photo), atol=1e-4)


@pytest.mark.geoclip
def test_a_photo_is_located_by_geoclip_when_its_backbone_is_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the geoclip extra")
    tiny_clip(tmp_path)
    photo, gallery = write_photo(tmp_path / "a.png"), tmp_path / "gallery.csv"
    gallery.write_text("lat,lon\n" + "\n".join(f"{i},{-i}" for i in range(50)))
    words = ("--model", "geoclip", "--gallery", gallery, "--json")
    found = json.loads(run("locate", photo, *words, "--backbone", tmp_path).stdout)
    assert found["places"] == 50
    assert "away_km" not in found["found"][0]
    assert 0 < found["found"][0]["probability"] < 1
    (tmp_path / "text.png").write_text("no picture")
    result = run("locate", tmp_path / "text.png", *words, "--backbone", tmp_path)
    assert isinstance(result.exception, BadRaster)


@pytest.mark.geoclip
def test_geoclip_without_its_backbone_says_what_to_fetch(tmp_path: Path, monkeypatch) -> None:
    from pm25map.laboratory.locate import geoclip_photo

    hub = pytest.importorskip("huggingface_hub", reason="needs the geoclip extra")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(BadInstall, match="which is not on this disk"):
        geoclip_photo.GeoclipPhotos()
    with pytest.raises(BadInstall, match="does not exist"):
        geoclip_photo.GeoclipPhotos(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(BadModel, match="cannot be read as safetensors"):
        geoclip_photo.GeoclipPhotos(tmp_path)
    from safetensors.torch import save_file

    save_file({"vision_model.embeddings.class_embedding": torch.zeros(4)}, tmp_path / "model.safetensors")
    with pytest.raises(BadModel, match="is of another layout"):
        geoclip_photo.GeoclipPhotos(tmp_path)


def test_a_photo_too_large_to_be_one_is_refused(tmp_path: Path, monkeypatch) -> None:
    from PIL import Image

    from pm25map.laboratory.locate.geoclip_photo import read_photo

    photo = write_photo(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(BadRaster, match="could be decompression bomb"):
        read_photo(photo)

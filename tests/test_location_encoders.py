"""Spherical harmonics, SIRENs on them, SatCLIP's checkpoint: what they give, and what they refuse."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import sph_harm_y
from siren_world import write_a_siren

from pm25map.base.errors import BadGrid, BadModel, BadOutput, UnknownName
from pm25map.cli.main import cli
from pm25map.grid import load_grid
from pm25map.laboratory.encoders.siren import Siren
from pm25map.places.catalogue import encoder
from pm25map.places.harmonics import harmonics

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

RNG = np.random.default_rng(0)
LAT = np.concatenate([[90.0, -90.0, 0.0, 0.0, 89.9999], RNG.uniform(-90, 90, 200)])
LON = np.concatenate([[12.0, -170.0, 180.0, -180.0, 45.0], RNG.uniform(-180, 180, 200)])


def by_scipy(lat: np.ndarray, lon: np.ndarray, degree: int) -> np.ndarray:
    """The real harmonics from scipy's complex ones, without its Condon-Shortley phase."""
    theta, phi = np.pi / 2 - np.deg2rad(lat), np.deg2rad(lon)
    columns = []
    for ell in range(degree + 1):
        for m in range(-ell, ell + 1):
            value = sph_harm_y(ell, abs(m), theta, phi) * (-1) ** m
            part = value.imag if m < 0 else value.real
            columns.append(part * (np.sqrt(2) if m else 1))
    return np.stack(columns, axis=1)


def test_harmonics_to_degree_40_are_those_of_scipy_and_finite_at_the_poles() -> None:
    ours = harmonics(LAT, LON, 40)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, by_scipy(LAT, LON, 40), atol=1e-12)


def test_harmonics_are_orthonormal_over_the_sphere() -> None:
    # Gauss nodes along latitude and even ones along longitude integrate products of degree 16 exactly.
    z, weight = np.polynomial.legendre.leggauss(24)
    lon = np.arange(48) * 7.5 - 180
    lat = np.repeat(np.rad2deg(np.arcsin(z)), lon.size)
    basis = harmonics(lat, np.tile(lon, z.size), 8)
    area = np.repeat(weight, lon.size) * 2 * np.pi / lon.size
    np.testing.assert_allclose(basis.T * area @ basis, np.eye(81), atol=1e-12)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_harmonics_of_one_degree_have_the_same_length_everywhere(lat: float, lon: float) -> None:
    basis = harmonics([lat], [lon], 40)[0]
    for ell in (0, 7, 40):
        length = np.sum(basis[ell * ell : (ell + 1) ** 2] ** 2)
        assert length == pytest.approx((2 * ell + 1) / (4 * np.pi), rel=1e-9)


def test_harmonics_are_an_encoder_by_name_and_refuse_what_is_none() -> None:
    made = encoder("harmonics-3")
    assert (made.name, made.dimension) == ("harmonics-3", 16)
    np.testing.assert_allclose(made.encode([10.0], [20.0]), harmonics([10.0], [20.0], 3), rtol=1e-6)
    with pytest.raises(UnknownName, match="give 0 to 40"):
        encoder("harmonics-41")
    with pytest.raises(BadGrid, match="may be swapped"):
        made.encode([120.0], [40.0])


def a_checkpoint(path: Path, polynomials: int = 4, calculation: str = "analytic") -> dict[str, object]:
    """Write a checkpoint in the published layout, small."""
    generator = torch.Generator().manual_seed(1)
    widths = {"layers.0": (polynomials**2, 8), "layers.1": (8, 8), "last_layer": (8, 5)}
    state = {"model.logit_scale": torch.tensor(2.0), "model.visual.conv1.weight": torch.zeros(2, 2)}
    for name, (inputs, outputs) in widths.items():
        weight = torch.rand(outputs, inputs, generator=generator, dtype=torch.float64) - 0.5
        bias = torch.rand(outputs, generator=generator, dtype=torch.float64)
        for copy in ("model.nnet.", "model.location.nnet."):
            state[f"{copy}{name}.weight"], state[f"{copy}{name}.bias"] = weight.clone(), bias.clone()
    settings = {
        "le_type": "sphericalharmonics",
        "pe_type": "siren",
        "legendre_polys": polynomials,
        "harmonics_calculation": calculation,
        "embed_dim": 5,
        "capacity": 8,
        "num_hidden_layers": 2,
        "air_temp_data_path": "somewhere",
    }
    content: dict[str, object] = {"state_dict": state, "hyper_parameters": settings, "epoch": 500}
    torch.save(content, path)
    return content


def as_published(content: dict, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """What SatCLIP's own equations give, from scipy: longitude first."""
    settings, state = content["hyper_parameters"], content["state_dict"]
    degree = settings["legendre_polys"] - 1
    theta, phi = np.deg2rad(lat + 90), np.deg2rad(lon + 180)
    columns = []
    for ell in range(degree + 1):
        for m in range(-ell, ell + 1):
            value = sph_harm_y(ell, abs(m), theta, phi)
            part = (value.imag if m < 0 else value.real) * (np.sqrt(2) if m else 1)
            if settings["harmonics_calculation"] == "analytic":
                part = part * (np.pi if m == 0 else (-1) ** m)
            columns.append(part)
    hidden = np.stack(columns, axis=1)
    for name, frequency in {"layers.0": 30.0, "layers.1": 1.0}.items():
        weight, bias = (state[f"model.nnet.{name}.{kind}"].numpy() for kind in ("weight", "bias"))
        hidden = np.sin(frequency * (hidden @ weight.T + bias))
    return (
        hidden @ state["model.nnet.last_layer.weight"].numpy().T + state["model.nnet.last_layer.bias"].numpy()
    )


@pytest.mark.parametrize("calculation", ["analytic", "closed-form"])
def test_a_checkpoint_of_satclip_gives_its_own_vectors_with_latitude_first(
    tmp_path: Path, calculation: str
) -> None:
    from pm25map.laboratory.encoders.satclip import read_satclip

    content = a_checkpoint(tmp_path / "a.ckpt", calculation=calculation)
    siren = read_satclip(tmp_path / "a.ckpt")
    np.testing.assert_allclose(siren.encode_exactly(LAT, LON), as_published(content, LON, LAT), atol=1e-10)
    swapped = siren.encode_exactly(np.clip(LON, -90, 90), LAT)
    assert np.abs(swapped - as_published(content, LON, LAT)).max() > 0.1


def test_convert_writes_network_weights_and_card_that_agree(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    content = a_checkpoint(tmp_path / "a.ckpt")
    out = tmp_path / "satclip"
    result = CliRunner().invoke(
        cli, ["lab", "places", "convert", str(tmp_path / "a.ckpt"), "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0
    made = encoder(str(out))
    assert (made.name, made.dimension) == ("satclip-l4", 5)
    np.testing.assert_allclose(made.encode(LAT, LON), as_published(content, LON, LAT), atol=1e-5)
    assert made.card.licence.startswith("MIT")
    assert max(made.card.parity.values()) < 1e-6
    assert sum(made.card.profile.share) == pytest.approx(1, abs=0.01)
    weights = load_file(out / made.card.weights)
    assert weights["layers.1.weight"].dtype == np.float64
    np.testing.assert_array_equal(
        weights["layers.1.weight"], content["state_dict"]["model.nnet.layers.1.weight"]
    )
    with pytest.raises(BadOutput, match="is no encoder"):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter.txt").write_text("keep me")
        write_a_siren(tmp_path / "mine")


def _without(key: str):
    def change(content: dict) -> None:
        del content["state_dict"][key]

    return change


def _set(**settings: object):
    return lambda content: content["hyper_parameters"].update(settings)


def _one_copy_differs(content: dict) -> None:
    content["state_dict"]["model.nnet.layers.0.bias"] += 1


def _a_deeper_one(content: dict) -> None:
    content["state_dict"]["model.nnet.layers.2.weight"] = torch.zeros(8, 8)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without("model.nnet.layers.1.weight"), "has no model.nnet.layers.1.weight"),
        (_set(capacity=9), r"has the shape \(8, 16\), not \(9, 16\)"),
        (_set(pe_type="fcnet"), "pe_type is 'fcnet'"),
        (_set(le_type="grid"), "le_type is 'grid'"),
        (_set(harmonics_calculation="other"), "harmonics_calculation is 'other'"),
        (_set(legendre_polys=101), "at most 41"),
        (_set(embed_dim="256"), "embed_dim is '256'"),
        (_one_copy_differs, "differ"),
        (_a_deeper_one, "state_dict has model.nnet.layers.2.weight"),
        (lambda content: content.pop("state_dict"), "it has no state_dict"),
        (lambda content: content["hyper_parameters"].pop("capacity"), "has no capacity"),
    ],
)
def test_a_checkpoint_of_another_layout_is_refused_by_the_key_that_differs(
    tmp_path: Path, change, says
) -> None:
    from pm25map.laboratory.encoders.satclip import read_satclip

    content = a_checkpoint(tmp_path / "a.ckpt")
    change(content)
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(BadModel, match=says):
        read_satclip(tmp_path / "a.ckpt")


class Mischief:
    """What a hostile checkpoint would run."""

    def __reduce__(self):
        return (Path.touch, (Path("mischief-was-done"),))


def test_a_checkpoint_that_would_run_code_is_refused_unread(tmp_path: Path, monkeypatch) -> None:
    from pm25map.laboratory.encoders.satclip import read_satclip

    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Mischief()}, tmp_path / "a.ckpt")
    with pytest.raises(BadModel, match="checkpoint of plain weights"):
        read_satclip(tmp_path / "a.ckpt")
    assert not (tmp_path / "mischief-was-done").exists()
    (tmp_path / "b.ckpt").write_text("no checkpoint")
    with pytest.raises(BadModel, match="cannot be read"):
        read_satclip(tmp_path / "b.ckpt")
    with pytest.raises(BadModel, match="there is no file"):
        read_satclip(tmp_path / "c.ckpt")


def test_a_trained_encoder_gives_a_place_the_same_bits_in_any_company_and_says_when_it_is_damaged(
    tmp_path: Path,
) -> None:
    write_a_siren(tmp_path / "small")
    made = encoder(str(tmp_path / "small"))
    together = made.encode(LAT, LON)
    for i in (0, 1, 77):
        np.testing.assert_array_equal(made.encode(LAT[i : i + 1], LON[i : i + 1])[0], together[i])
    assert made.encode([], []).shape == (0, 3)
    with pytest.raises(BadGrid, match="may be swapped"):
        made.encode([-100.0], [40.0])
    with (tmp_path / "small" / made.card.file).open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(BadModel, match="checksum"):
        encoder(str(tmp_path / "small"))
    (tmp_path / "small" / "card.json").write_text('{"kind": "location-encoder"}')
    with pytest.raises(BadModel, match="is damaged: name"):
        encoder(str(tmp_path / "small"))


def test_a_siren_whose_layers_do_not_fit_is_refused() -> None:
    with pytest.raises(BadModel, match="no whole set"):
        Siren((np.zeros((3, 5)),), (np.zeros(3),), ())
    with pytest.raises(BadModel, match="do not fit"):
        Siren((np.zeros((3, 4)), np.zeros((2, 4))), (np.zeros(3), np.zeros(2)), (30.0,))
    with pytest.raises(BadModel, match="not a number"):
        Siren((np.full((3, 4), np.nan),), (np.zeros(3),), ())


def test_a_rough_encoder_has_its_energy_at_short_waves_and_a_smooth_one_has_not() -> None:
    from pm25map.laboratory.encoders.profile import profile_of

    class Rough:
        name, dimension, checksum = "rough", 2, ""

        def encode(self, lat, lon):
            return np.stack([np.sin(np.deg2rad(np.asarray(lat) * 800)), np.zeros(len(lat))], 1).astype("f4")

    grid = load_grid("conus-10km")
    assert sum(profile_of(Rough(), grid).share[:2]) > 0.5  # waves of 50 km
    smooth = profile_of(encoder("harmonics-4"), grid)
    assert sum(smooth.share[:2]) < 1e-3
    assert smooth.gradient_per_km < 0.01


def test_capsules_of_geoclip_add_up_and_can_be_left_out() -> None:
    whole, parts = encoder("geoclip"), [encoder(f"geoclip-capsules-{numbers}") for numbers in ("2", "3-1")]
    assert parts[1].name == "geoclip-capsules-1-3"
    total = sum(part.encode(LAT, LON) for part in parts)
    np.testing.assert_allclose(total, whole.encode(LAT, LON), atol=1e-5)
    assert len({whole.checksum, *(part.checksum for part in parts)}) == 3
    with pytest.raises(UnknownName, match="capsules 1 to 3"):
        encoder("geoclip-capsules-1-4")

"""Files of weights as people have them: wrapped, prefixed, in safetensors, spoilt, or something else."""

import argparse
import gzip
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainables import plot_classifier
from trainables.errors import InputError
from trainables.interface import Problem
from trainables.parts.backbones import build_backbone
from trainables.parts.pretrained import WeightsFile, check_weights, load_backbone_weights
from trainables.parts.weights_files import read_entries

BACKBONE = "shufflenet_v2_x0_5"
NAMES = {torch.float32: "F32", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16"}


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """The weights of one model, drawn from a seed."""
    torch.manual_seed(7)
    found: dict[str, Tensor] = build_backbone(BACKBONE, (32, 32)).state_dict()
    return found


def safetensors(path: Path, tensors: dict[str, Tensor], **header: Any) -> Path:
    """A file of the format, written by its description."""
    told: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, value in tensors.items():
        raw = value.contiguous().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
        offsets = [len(body), len(body) + len(raw)]
        told[name] = {"dtype": NAMES[value.dtype], "shape": list(value.shape), "data_offsets": offsets}
        body += raw
    text = json.dumps(told | header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def loaded(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of a model that starts from a file, and what was said of the file."""
    model = build_backbone(BACKBONE, (32, 32))
    remarks = load_backbone_weights(model, BACKBONE, WeightsFile(path.name, path), 32)
    assert check_weights(BACKBONE, WeightsFile(path.name, path), (32, 32)) == remarks
    return model.state_dict(), remarks


def assert_starts_from(found: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    kept = [name for name in weights if not name.startswith("fc.")]
    assert len(kept) > 100
    assert all(torch.equal(found[name], weights[name]) for name in kept)


Wrap = Callable[[dict[str, Tensor]], Any]


def under(prefix: str) -> Wrap:
    return lambda weights: {f"{prefix}{name}": value for name, value in weights.items()}


def nested(weights: dict[str, Tensor]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in weights.items():
        *parents, leaf = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return tree


@pytest.mark.parametrize(
    ("wrap", "where", "left"),
    [
        (lambda weights: weights, "", 0),
        (under("module."), "module", 0),
        (under("_orig_mod."), "_orig_mod", 0),
        (under("module._orig_mod.backbone.net."), "module._orig_mod.backbone.net", 0),
        (lambda weights: {"state_dict": weights, "epoch": 3}, "state_dict", 0),
        (lambda weights: {"model_state_dict": under("model.")(weights)}, "model_state_dict.model", 0),
        (lambda weights: {"model_ema": {k: v + 1 for k, v in weights.items()}, "model": weights}, "model", -1),
        (lambda weights: {"checkpoint": {"deep": {"er": weights}}}, "checkpoint.deep.er", 0),
        (lambda weights: {"optimizer": {"state": {0: {"m": torch.ones(2)}}}, "net": weights}, "net", 0),
        (lambda weights: {"optimizer": {"buffer": torch.ones(2)}, **weights}, "", 1),
        (lambda weights: {"args": argparse.Namespace(lr=0.1), "model": weights}, "model", 0),
        (lambda weights: {**under("encoder_q.")(weights), "queue": torch.ones(3)}, "encoder_q", 1),
        (lambda weights: {**under("teacher.x.")(weights), **{"teacher.head.w": torch.ones(1)}}, "teacher.x", 1),
        (nested, "", 0),
        (lambda weights: {"params": nested(weights)}, "params", 0),
    ],
)
def test_weights_are_found_wherever_they_lie_and_it_is_said(
    tmp_path: Path, weights: dict[str, Tensor], wrap: Wrap, where: str, left: int
) -> None:
    torch.save(wrap(dict(weights)), tmp_path / "w.pt")
    found, remarks = loaded(tmp_path / "w.pt")
    assert_starts_from(found, weights)
    left = len(weights) if left < 0 else left
    expected = f"what stands under {where}" if where else "a part"
    rest = f"; {left} other tensors in it are left out" if left else ""
    assert remarks == ([f"Of w.pt {expected} is taken{rest}."] if where or left else [])


def test_what_is_taken_stands_in_what_is_said_and_in_the_record(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save({"model_state_dict": under("module.")(weights)}, tmp_path / "w.pt")
    config = plot_classifier.FAMILY.config(backbone=BACKBONE, weights=str(tmp_path / "w.pt"))
    problem = Problem(("a", "b"), (32, 32, 3), 1)
    said = "Of w.pt what stands under model_state_dict.module is taken."
    assert any(said in remark for remark in plot_classifier.FAMILY.check(config, problem))
    assert said in plot_classifier.FAMILY.build(config, problem, 0).facts()["weights"]


def test_an_averaged_model_is_taken_where_there_is_no_other(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save({"model_ema": under("module.")(weights)}, tmp_path / "w.pt")
    found, remarks = loaded(tmp_path / "w.pt")
    assert_starts_from(found, weights)
    assert remarks == ["Of w.pt what stands under model_ema.module is taken."]


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_safetensors_are_read_by_their_content(tmp_path: Path, weights: dict[str, Tensor], name: str) -> None:
    found, remarks = loaded(safetensors(tmp_path / name, under("module.")(weights)))
    assert_starts_from(found, weights)
    assert remarks == [f"Of {name} what stands under module is taken."]


def test_safetensors_of_other_types_and_shapes(tmp_path: Path) -> None:
    tensors = {
        "a": torch.tensor([True, False]).to(torch.int64), "b": torch.arange(3).to(torch.bfloat16),
        "c": torch.empty(0, 4), "d": torch.tensor(2.5), "e": torch.arange(6).reshape(2, 3).to(torch.float16),
    }  # fmt: skip
    found = {one.name: one.value for one in read_entries(safetensors(tmp_path / "w.safetensors", tensors))}
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in tensors.items())


SPOILT: dict[str, dict[str, Any]] = {
    "beyond": {"data_offsets": [0, 4000]},
    "backwards": {"data_offsets": [12, 0]},
    "negative": {"data_offsets": [-12, 0]},
    "small": {"shape": [2]},
    "huge": {"shape": [2**40, 2**40]},
    "axes": {"shape": [1] * 1000},
    "float": {"shape": [3.0]},
    "bool": {"shape": [True, 3]},
    "text": {"shape": "3"},
    "null": {"data_offsets": None},
    "three": {"data_offsets": [0, 12, 12]},
    "type": {"dtype": "F128"},
    "types": {"dtype": ["F32"]},
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_header_is_refused(tmp_path: Path, kind: str) -> None:
    told = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]} | SPOILT[kind]
    path = safetensors(tmp_path / "w.safetensors", {"a": torch.ones(3)}, a=told)
    with pytest.raises(InputError, match=r"can't be read as a safetensors file: .*'a'"):
        read_entries(path)


@pytest.mark.parametrize(
    "content",
    [
        b"12345678", b"123", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{,",
        struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995, struct.pack("<Q", 3) + b'"\xff"',
        struct.pack("<Q", 10) + b'{"a": [3]}',
    ],
)  # fmt: skip
def test_what_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="can't be read as a safetensors file: "):
        read_entries(tmp_path / "w.safetensors")


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_cut_safetensors_file_is_refused(tmp_path: Path, weights: dict[str, Tensor], cut: float) -> None:
    path = safetensors(tmp_path / "w.safetensors", weights)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(InputError, match="It may be damaged or cut short"):
        read_entries(path)


def _zip(path: Path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("_", "/").replace("DOT", "."), content)


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "text": (lambda path: path.write_text("no weights at all"), "no file that torch.save wrote"),
    "lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid 1\n"), "Git LFS"),
    "page": (lambda path: path.write_text("<!DOCTYPE html><title>Log in"), "a web page"),
    "hdf5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5"),
    "numpy": (lambda path: np.save(path.open("wb"), np.zeros(3)), "an array of NumPy"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"weights")), "packed with gzip"),
    "zip": (lambda path: _zip(path, aDOTtxt=b"x"), "a ZIP archive that torch.save did not write"),
    "whole": (lambda path: torch.save(nn.Linear(2, 2), path), r"Python objects \(torch\.nn\.modules\.linear\.Linear\)"),
    "script": (
        lambda path: torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), str(path)),
        "TorchScript",
    ),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": Path("b")})), "."),
    "list": (lambda path: torch.save([torch.ones(2)], path), "holds no state_dict"),
    "numbers": (lambda path: torch.save({"epoch": 3}, path), "holds no state_dict"),
    "strange": (lambda path: torch.save({"\x1b[31mred\u202e": torch.ones(2)}, path), "no name of the one is a name"),
    "cut": (
        lambda path: (torch.save({"a": torch.ones(9999)}, path), path.write_bytes(path.read_bytes()[:9000])),
        "cut",
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit")
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_something_else_is_named_in_our_own_words(tmp_path: Path, kind: str) -> None:
    write, words = OTHERS[kind]
    path = tmp_path / "w.pth"
    write(path)
    with pytest.raises(InputError, match=words) as error:
        loaded(path)
    said = str(error.value)
    assert "weights_only" not in said
    assert said.isprintable()
    assert said.endswith((".", "`."))


def test_no_prefix_of_many_files_decides_by_half_a_fit(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    other = {name: value[:1] for name, value in weights.items() if value.ndim}
    torch.save({"small": other, "full": weights}, tmp_path / "w.pt")
    found, remarks = loaded(tmp_path / "w.pt")
    assert_starts_from(found, weights)
    assert remarks == [f"Of w.pt what stands under full is taken; {len(other)} other tensors in it are left out."]


def test_a_layer_too_many_beside_the_others_is_another_architecture(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(under("module.")({**weights, "attention.weight": torch.ones(2)}), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"1 unknown to it, such as attention\.weight"):
        loaded(tmp_path / "w.pt")

"""Files of a run, changed at random from fixed seeds, checksums made anew: an error in words, or a report."""

import json
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.classification_runs import write_run

from orchestrator import InputError, load_model
from orchestrator.artifacts.models import KeptModel, keep_model
from orchestrator.artifacts.records import MARK
from orchestrator.families import family_row
from trainables.files import file_sha256
from trainables.interface import Problem, Samples

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROUNDS = 60
"""Of each file: the budget. Every eighth is reported and compared, too, which takes seconds."""
FILES = ("records.jsonl", "split.json", "experiment.yaml", "ablation.json", "metrics.json", "heartbeat.json")
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**30, 1e308, float("nan"), "", "=1+1", "\x1b[31mred\u202e", "../../etc/passwd", "a\0b",
    "x" * 5000, "planted:f", "{planted}:f", [], {}, [[[]]], {"": {}}, [None], {"a": None}, ["planted:f"], "\udcff",
    "nan", "2024-13-45",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with all files that are changed."""
    root = write_run(
        tmp_path_factory.mktemp("fuzzed") / "run", {"pca_logistic": 0.3, "resnet18": 0.8}, ("a", "b", "c"), 30, 3,
        (0, 1), True, None,
    ).root  # fmt: skip
    plan = {
        "format": 1, "baseline": "pca_logistic", "design": "one_factor", "factors": {"C": [1, 2]}, "tuned": None,
        "seeds": [0, 1], "variants": [
            {"name": "pca_logistic", "changes": {}, "family": "pca_logistic", "config": {}, "strategy": None,
             "cell": "c0", "folder": "pca_logistic", "trials": 3},
            {"name": "C=2", "changes": {"C": 2}, "family": "pca_logistic", "config": {"C": 2}, "strategy": None,
             "cell": "c1", "folder": "pca_logistic~c1", "trials": 3},
        ],
    }  # fmt: skip
    metric = {
        "asked": "mine.py:METRIC", "name": "mine", "label": "mine", "task": "classification", "mode": "max",
        "meaning": "m", "needs": "", "quoted": False, "bounds": [0, 1],
    }  # fmt: skip
    beat = {"host": "h", "pid": 1, "stage": "search", "started": 1.0, "now": 2.0}
    for name, content in (
        ("ablation.json", plan), ("metrics.json", {"format": 1, "metrics": [metric]}), ("heartbeat.json", beat),
    ):  # fmt: skip
        (root / name).write_text(json.dumps(content))
    shutil.copyfile(root / "experiment.yaml", root / "as_run.yaml")
    return root


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that writes a marker beside it as it is imported."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "planted.py").write_text(f"open({str(folder / 'marker')!r}, 'a').write('x')\nf = None\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder / "planted.py"


def deep(draw: random.Random, content: bytes, planted: Path) -> bytes:
    """One value of a JSON text, or of a line of one, exchanged for another."""
    lines = (
        content.decode().splitlines() if content.count(b"\n") > 1 and MARK.encode() in content else [content.decode()]
    )
    at = draw.randrange(len(lines))
    record = MARK in lines[at]
    text = lines[at].rpartition(MARK)[0] + "}" if record else lines[at]
    value = json.loads(text)
    for _ in range(draw.choice((1, 1, 1, 3))):
        place: Any = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw.choice(keys)
            below = place[key]
            if isinstance(below, (dict, list)) and below and draw.random() < 0.8:
                place = below
                continue
            hostile = draw.choice(HOSTILE)
            if draw.random() < 0.15:
                place.pop(key)
            elif isinstance(place, dict) and draw.random() < 0.1:
                place[f"new{key}"] = hostile
            else:
                place[key] = str(planted) + ":f" if hostile == "{planted}:f" else hostile
            break
    text = json.dumps(value)
    if draw.random() < 0.05:
        text = text.replace("null", "[" * 20_000, 1)
    if record:
        text = f'{text[:-1]}{MARK}{zlib.crc32(text.encode("ascii")):08x}"}}'
    lines[at] = text
    return ("\n".join(lines) + ("\n" if record else "")).encode()


def scattered(draw: random.Random, content: bytes) -> bytes:
    """Bytes changed, cut out, doubled, or put in."""
    spoilt = bytearray(content)
    for _ in range(draw.choice((1, 2, 8))):
        at = draw.randrange(len(spoilt) or 1)
        way = draw.randrange(4)
        if way == 0:
            spoilt[at : at + 1] = bytes([draw.randrange(256)])
        elif way == 1:
            del spoilt[at : at + draw.randrange(200)]
        elif way == 2:
            spoilt[at:at] = spoilt[at : at + draw.randrange(100)]
        else:
            spoilt[at:at] = draw.choice((b"\0", b"\xff\xfe", b"{", b"[" * 3000, b'"', b"NaN", b"- &a [*a]\n", b"\n\n"))
    return bytes(spoilt)


def changed(draw: random.Random, path: Path, planted: Path) -> None:
    """Change a file in one of the two ways."""
    content = path.read_bytes()
    as_json = path.suffix != ".yaml" and draw.random() < 0.7
    path.write_bytes(deep(draw, content, planted) if as_json else scattered(draw, content))


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_of_a_run_gives_an_error_in_words_or_a_report(
    run: Path, planted: Path, tmp_path: Path, orchestrate: Callable[..., Any], name: str
) -> None:
    refused = 0
    for number in range(ROUNDS):
        copy = tmp_path / f"{number}"
        shutil.copytree(run, copy)
        changed(random.Random(f"{name} {number}"), copy / name, planted)
        commands: list[tuple[Any, ...]] = [("status", copy)]
        if number % 8 == 0:
            commands += [("report", copy, "--no-figures"), ("compare", run, copy, "--mark")]
        for words in commands:
            try:
                ended = orchestrate(*words)
            except Exception as error:
                raise AssertionError(f"round {number}, {words[0]}: {type(error).__name__}: {error}") from error
            assert ended.code in (0, 2), (number, words, ended.err)
            said = ended.out + ended.err
            assert "Traceback" not in said, (number, words)
            assert all(line.isprintable() for line in said.split("\n")), (number, words)
            refused += ended.code == 2
        shutil.rmtree(copy)
    assert refused or name in ("split.json", "ablation.json", "heartbeat.json"), "the check can see a refusal"
    assert not (planted.parent / "marker").exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kept model."""
    folder = tmp_path_factory.mktemp("kept")
    pictures = np.random.default_rng(0).integers(0, 255, (12, 24, 24, 3), dtype=np.uint8)
    samples = Samples(pictures, np.zeros(12, np.int64), ("normal", "anomaly"), tuple(map(str, range(12))))
    family = family_row("pca").family
    model = family.build(family.config(), Problem(samples.classes, (24, 24, 3), 1), 0)
    for _ in model.fit(samples, samples):
        pass
    note = KeptModel(
        family="pca", variant="pca", seed=0, config={"components": 3}, classes=samples.classes, shape=(24, 24, 3),
        preprocessing={"layout": "series", "column": None, "style": "seed", "size": [24, 24]}, code="1", threshold=0.5,
    )  # fmt: skip
    keep_model(folder, model.weights(), note, 1)
    return folder


@pytest.mark.parametrize("name", ["model.json", "weights.pt"])
def test_a_changed_model_gives_an_error_in_words_or_a_model(
    kept: Path, planted: Path, tmp_path: Path, name: str
) -> None:
    refused = 0
    for number in range(5 * ROUNDS):
        copy = tmp_path / f"{number}"
        shutil.copytree(kept, copy)
        draw = random.Random(f"{name} {number}")
        if name == "model.json":
            changed(draw, copy / name, planted)
        else:
            (copy / name).write_bytes(scattered(draw, (copy / name).read_bytes()))
            if draw.random() < 0.8:
                note = json.loads((copy / "model.json").read_text())
                note["weights"] = file_sha256(copy / name)
                (copy / "model.json").write_text(json.dumps(note))
        said = ""
        try:
            load_model(copy)
        except InputError as error:
            refused += 1
            said = str(error)
        except Exception as error:
            raise AssertionError(f"round {number}: {type(error).__name__}: {error}") from error
        assert said.replace("\n", "").isprintable(), (number, said)
        shutil.rmtree(copy)
    assert refused
    assert not (planted.parent / "marker").exists()

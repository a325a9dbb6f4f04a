"""Experiment files that nobody would write: each is an experiment or an InputError, soon."""

import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import settle
from orchestrator.experiment.starter import starter_text
from orchestrator.experiment.yaml_text import read_yaml, write_yaml
from orchestrator.families import FAMILIES
from trainables.errors import InputError

SEEDS = range(30)
EACH = 50
WITHIN = 20
"""Seconds for one file on a busy machine."""
PIECES = [
    *(
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "? ",
        "|\n",
        ">\n",
        "&a ",
        "*a",
        "<<: *a",
        "!!int ",
        "!x ",
        "---\n",
        "...\n",
        "#",
    ),
    *("'", '"', "\\", "\t", "\n", "\n  ", "%", "@", "`", ",", "\x00", "\x1b", "\ud800", "\u2028", "\ufeff", "\x85"),
    *("~", "null", "yes", "010", "1e-3", "1e999", ".nan", ".inf", "-.inf", "9" * 60, "0x", "2024-02-31", "1:30"),
    *("families: ", "data: ", "seeds: [1]", "budget: {minutes: ", "path: ", "fixed: {", "ablation: {factors: {"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 2**31, 2**32, 2**63 - 1, 10**40, 1.5, -0.0, 1e300, 1e-300, float("inf")),
    *(
        float("nan"),
        "",
        " ",
        "a",
        "~",
        "~nobody/x",
        "x" * 5_000,
        "x/" * 3_000,
        "a\x00b",
        "\ud800",
        "é",
        "e\u0301",
        "010",
    ),
    *("file.py:NAME", "/" * 300 + ".py:F", "x" * 300 + ".py:F", ":", "a:b", "a:b.c", "%s", "{}", "\u202e", "(", "(.)("),
    *([], {}, [[]], [{}], {"a": {}}, [None], [1, 1], ["pca", "pca"], {"low": 1, "high": 0}, {"low": "a", "high": []}),
    *({"low": 0, "high": float("inf")}, {"family": "pca"}, {"name": "x"}, [1] * 900, {"x" * 200: 1}, {"": 1}),
    *("percentile(95)", "percentile(x)", "percentile(" + "9" * 400 + ")", "pca", "vae", "s3://key:secret@x"),
]
KEYS = [
    "data",
    "path",
    "families",
    "family",
    "fixed",
    "space",
    "size",
    "epochs",
    "budget",
    "seeds",
    "x",
    "",
    "name",
    "<<",
]


def mutated_text(random: random.Random, text: str) -> str:
    """A text with pieces put in, taken out, doubled or moved."""
    for _ in range(random.randint(1, 6)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.randint(0, 40))
        piece = random.choice([*PIECES, text[start:end], text[start:end] * random.randint(2, 50)])
        text = text[:start] + piece * random.choice([1, 1, 1, 2, 500]) + text[random.choice([start, end]) :]
    return text


def mutated(random: random.Random, value: Any) -> Any:
    """Values with one replaced, added or taken out, anywhere."""
    if random.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return random.choice(VALUES)
    if isinstance(value, list):
        place = random.randrange(len(value))
        return random.choice([[*value[:place], mutated(random, value[place]), *value[place + 1 :]], [*value, value[0]]])
    key = random.choice(list(value))
    added = {random.choice(KEYS): random.choice(VALUES)} if random.random() < 0.2 else {}
    return {**value, key: mutated(random, value[key]), **added}


WHOLE: dict[str, Any] = {
    **yaml.safe_load(starter_text()),
    "threshold": {"strategies": ["percentile(95)"], "metric": "f1", "search": False},
    "ablation": {"baseline": "plot_classifier", "config": {"dropout": 0.1}, "factors": {"augmentation": [0, 0.5]}},
    "mirror": "file:///backup",
}


def check_message(text: str) -> None:
    """It says something, can be printed, and no page is filled with it."""
    assert text.strip()
    assert text.encode()
    assert len(text) < 20_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data that the unspoiled file finds."""
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "data" / name / f"{number}.csv").write_text(f"value\n1\n{number}\n3\n", encoding="utf-8")
    for row in FAMILIES.values():
        assert row.family  # torch is imported before the clock runs
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(file: Path, overrides: tuple[str, ...] = ()) -> None:
    """An experiment that writes and reads itself, or an InputError that can be printed; neither takes long."""
    started = time.monotonic()
    try:
        experiment = Experiment.load(file, overrides)
        again = Experiment.from_mapping(read_yaml(experiment.to_yaml()))
        assert again.fingerprint == experiment.fingerprint
        settle(experiment, ablation=experiment.ablation is not None)
    except InputError as error:
        check_message(str(error))
    assert time.monotonic() - started < WITHIN


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files_are_experiments_or_refused(seed: int, folder: Path) -> None:
    generator, file = random.Random(seed), folder / "e.yaml"
    for _ in range(EACH):
        file.write_bytes(mutated_text(generator, starter_text()).encode("utf-8", "surrogatepass"))
        check(file)
        values = WHOLE
        for _ in range(generator.randint(1, 3)):
            values = mutated(generator, values)
        file.write_bytes(yaml.dump(values, allow_unicode=True).encode("utf-8", "surrogatepass"))
        check(file)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_overrides_are_experiments_or_refused(seed: int, folder: Path) -> None:
    generator, file = random.Random(seed), folder / "e.yaml"
    file.write_text(write_yaml(WHOLE), encoding="utf-8")
    for _ in range(EACH):
        key = ".".join(
            generator.choice([*KEYS, "0", "7", "-1", "²", "plot_classifier"]) for _ in range(generator.randint(1, 4))
        )
        value = generator.choice([*PIECES, *map(str, VALUES)])
        check(file, (f"{key}={value}",))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_values_from_python_are_experiments_or_refused(seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(EACH):
        values = WHOLE
        for _ in range(generator.randint(1, 3)):
            values = mutated(generator, values)
        if not isinstance(values, dict):
            continue
        try:
            Experiment.from_mapping(values)
        except InputError as error:
            check_message(str(error))

"""The file of a split: what it takes back, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.data.split.split import Split, fingerprint, rows_of
from trainables.errors import InputError


@pytest.mark.parametrize("spoilt", [{"groups": {"a": ["b"]}}, {"remarks": [3]}, {"duplicates": "2"}, {"across": None}])
def test_a_split_whose_values_are_something_else_is_refused(tmp_path: Path, spoilt: dict[str, Any]) -> None:
    numbers = np.array([0, 1, 2], dtype=np.int64)
    split = Split(
        ("a", "b", "c"), *rows_of(numbers), data="d", fingerprint=fingerprint("d", ("a", "b", "c"), numbers),
        remarks=(), duplicates=0, conflicting=0, across=0, groups=("a", "b", "c"),
    )  # fmt: skip
    path = tmp_path / "split.json"
    split.save(path)
    assert Split.load(path).groups == ("a", "b", "c")
    path.write_text(json.dumps(json.loads(path.read_text()) | spoilt))
    with pytest.raises(InputError, match="can't be read: a name, a remark or a count in it is something else"):
        Split.load(path)

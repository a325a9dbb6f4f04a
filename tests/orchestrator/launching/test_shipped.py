"""What goes along with a run to other machines: the experiment with its overrides, one's own code, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.experiment.experiment import Experiment
from orchestrator.launching.shipped import write_shipped
from orchestrator.launching.work import Work
from trainables.errors import InputError

OWN = "from orchestrator import families\nFAMILY = None\n"


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Path]:
    """Sections -> the file of an experiment beside which two files of one's own code lie."""
    for name in ("here/own.py", "elsewhere/own.py", "elsewhere/other.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{OWN}# {name}\n", encoding="utf-8")

    def write(**sections: object) -> Path:
        values = {"data": {"path": "/there/csvs"}, "families": ["pca_logistic"], **sections}
        path = tmp_path / "here" / "e.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_own_code_goes_along_and_is_named_as_it_lies_there(experiment: Callable[..., Path], tmp_path: Path) -> None:
    both = {"one": "own.py:FAMILY", "other": f"{tmp_path}/elsewhere/own.py:FAMILY"}
    file = experiment(families=[{"family": family, "name": name} for name, family in both.items()])
    work = Work(file, "/there/run", (f"objective.metric={tmp_path}/elsewhere/other.py:F1", "budget.trials=7"))
    shipped = write_shipped(work, tmp_path / "launch")
    originals = ("here/own.py", "elsewhere/own.py", "elsewhere/other.py")
    assert shipped.own == tuple(sorted(tmp_path / name for name in originals))
    told = yaml.safe_load((shipped.folder / "experiment.yaml").read_text(encoding="utf-8"))
    assert told["budget"]["trials"] == 7
    families = [variant["family"] for variant in told["families"]]
    named = [name.rpartition(":")[0] for name in (*families, told["objective"]["metric"])]
    assert files_in(shipped.folder) == {"experiment.yaml", *named}
    for name, original in zip(named, originals, strict=True):
        assert (shipped.folder / name).read_bytes() == (tmp_path / original).read_bytes()
    loaded = Experiment.load(shipped.folder / "experiment.yaml")
    assert [variant.family for variant in loaded.families] == [f"{shipped.folder / name}:FAMILY" for name in named[:2]]
    assert all(str(path) in shipped.told for path in shipped.own)


def test_what_an_earlier_launch_shipped_does_not_stay(experiment: Callable[..., Path], tmp_path: Path) -> None:
    write_shipped(Work(experiment(families=["own.py:FAMILY"]), "/there/run"), tmp_path / "launch")
    shipped = write_shipped(Work(experiment(), "/there/run"), tmp_path / "launch")
    assert files_in(shipped.folder) == {"experiment.yaml"}
    assert Experiment.load(shipped.folder / "experiment.yaml").fingerprint == Experiment.load(experiment()).fingerprint


@pytest.mark.parametrize(
    ("data", "out", "words"),
    [
        ({"path": "csvs"}, "/there/run", r"data\.path is 'csvs'.*--set data\.path=/"),
        ({"path": "/there/csvs", "store": "store"}, "/there/run", r"data\.store is 'store'"),
        ({"path": "/there/csvs"}, "runs/first", r"--out is 'runs/first'.*--out /"),
    ],
)
def test_a_path_that_leads_elsewhere_there_is_refused(
    experiment: Callable[..., Path], tmp_path: Path, data: dict[str, str], out: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        write_shipped(Work(experiment(data=data), out), tmp_path / "launch")
    assert not (tmp_path / "launch").exists()


def test_own_code_that_is_not_there_is_told(experiment: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*missing\.py"):
        write_shipped(Work(experiment(families=["missing.py:FAMILY"]), "/there/run"), tmp_path / "launch")

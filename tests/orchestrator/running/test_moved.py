"""A run whose data lie elsewhere than when it was begun: proven the same, or refused before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import Experiment, InputError, RunFolder, evaluate, run
from orchestrator.artifacts.places import places_before, where_they_lay
from orchestrator.artifacts.records import read_records
from orchestrator.experiment.of_a_run import experiment_of, known_prints, origin_of
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.claim import check_folder, locked


def moved(folder: RunFolder, to: Path) -> Experiment:
    """The run's experiment, with its data moved."""
    experiment = experiment_of(folder)
    shutil.move(experiment.data.path, to)
    return at(experiment, to)


def at(experiment: Experiment, path: Path, **changes: object) -> Experiment:
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"path": path, **changes})})


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["whole", "searched", "detection"])
def test_the_same_files_elsewhere_are_taken_and_said(old: Path, name: str) -> None:
    folder, said = RunFolder(old / name), list[str]()
    before = contents(folder.root)
    experiment = moved(folder, old / "elsewhere" / "deep")
    check_folder(experiment, folder, True, said.append)
    assert "byte for byte" in said[-1]
    assert str(old / "elsewhere" / "deep") in said[-1]
    assert contents(folder.root) == before, "a check writes nothing"


@pytest.mark.parametrize("gone", ["stores", "report", "studies"])
def test_what_a_copy_of_the_run_may_lack_is_no_matter(old: Path, gone: str) -> None:
    folder = RunFolder(old / "whole")
    shutil.rmtree(folder.root / gone, ignore_errors=True)
    check_folder(moved(folder, old / "elsewhere"), folder, True)


def test_records_of_before_are_known_however_often_the_data_move(old: Path) -> None:
    folder = RunFolder(old / "whole")
    first = experiment_of(folder)
    for number in range(3):
        experiment = moved(folder, old / f"elsewhere{number}")
        check_folder(experiment, folder, True)
        with locked(experiment, folder):
            pass
    assert first.placed_fingerprint in known_prints(experiment, folder)
    assert [str(place.path) for place in places_before(folder)] == [
        str(first.data.path), str(old / "elsewhere0"), str(old / "elsewhere1"),
    ]  # fmt: skip
    (remark,) = where_they_lay(folder, experiment.data.path)
    assert str(first.data.path) in remark
    check_folder(at(experiment, experiment.data.path, store=old / "other store"), folder, True)


def changed_byte(data: Path) -> None:
    path = first(data)
    path.write_bytes(path.read_bytes()[:-1] + b"9")


def one_removed(data: Path) -> None:
    first(data).unlink()


def one_added(data: Path) -> None:
    shutil.copy(first(data), first(data).with_stem("added"))


def one_renamed(data: Path) -> None:
    first(data).rename(first(data).with_stem("renamed"))


def two_exchanged(data: Path) -> None:
    one, other = sorted(data.rglob("*.csv"))[:2]
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def first(data: Path) -> Path:
    return min(data.rglob("*.csv"))


@pytest.mark.parametrize("spoil", [changed_byte, one_removed, one_added, one_renamed, two_exchanged])
def test_other_data_are_refused_and_the_run_stays_as_it_was(old: Path, spoil: Callable[[Path], None]) -> None:
    folder = RunFolder(old / "whole")
    experiment = moved(folder, old / "elsewhere")
    spoil(old / "elsewhere")
    before = contents(folder.root)
    with pytest.raises(InputError, match=r"are not those that .* was started with"):
        check_folder(experiment, folder, True)
    assert contents(folder.root) == before


def test_another_mask_of_the_same_picture_is_other_data(old: Path) -> None:
    folder = RunFolder(old / "detection")
    experiment = moved(folder, old / "elsewhere")
    mask = min((old / "elsewhere").rglob("*_mask.png"))
    mask.write_bytes(mask.read_bytes() + b"\0")
    with pytest.raises(InputError, match="other bytes"):
        check_folder(experiment, folder, True)


def test_a_run_without_its_split_can_t_prove_it(old: Path) -> None:
    folder = RunFolder(old / "whole")
    experiment = moved(folder, old / "elsewhere")
    folder.split.unlink()
    with pytest.raises(InputError, match=r"without its split\.json"):
        check_folder(experiment, folder, True)
    folder.records.unlink()
    check_folder(experiment, folder, True)


def test_a_file_that_gave_no_picture_before_need_not_give_one_now(old: Path) -> None:
    folder = RunFolder(old / "whole")
    experiment = moved(folder, old / "elsewhere")
    (index,) = folder.stores.glob("*/index.json")
    text = index.read_text()
    bad = first(old / "elsewhere").with_stem("bad")
    bad.write_text("nothing")
    with pytest.raises(InputError, match=r"new files: 1"):
        check_folder(experiment, folder, True)
    name = bad.relative_to(old / "elsewhere").as_posix()
    index.write_text(text.replace('"failed": []', f'"failed": [["{name}", "no number", null, -1, -1, -1]]'))
    check_folder(experiment, folder, True)


def test_other_differences_are_still_named_and_the_place_is_not(old: Path) -> None:
    folder = RunFolder(old / "whole")
    experiment = moved(folder, old / "elsewhere").model_copy(update={"scheduler": "asha"})
    with pytest.raises(InputError, match="scheduler") as caught:
        check_folder(experiment, folder, True)
    assert "data.path" not in str(caught.value)


def test_a_file_that_was_changed_after_the_run_worked_is_told_by_its_copy(old: Path) -> None:
    folder = RunFolder(old / "whole")
    experiment = experiment_of(folder)
    with locked(experiment, folder):
        pass
    assert folder.as_run.read_text() == folder.experiment.read_text()
    changed = experiment.model_copy(update={"scheduler": "asha"})
    folder.experiment.write_text(changed.to_yaml())
    with pytest.raises(InputError, match="scheduler: 'none' there, 'asha' here") as caught:
        check_folder(changed, folder, True)
    assert "Copy as_run.yaml over experiment.yaml" in str(caught.value)
    with pytest.raises(InputError, match=r"Copy as_run\.yaml over experiment\.yaml"):
        check_folder(experiment, folder, True)
    shutil.copyfile(folder.as_run, folder.experiment)
    check_folder(experiment, folder, True)


def test_data_that_were_moved_by_hand_are_no_other_experiment(old: Path) -> None:
    """Records of before name where the data lay; the copy tells that nothing else changed."""
    folder = RunFolder(old / "whole")
    experiment = experiment_of(folder)
    with locked(experiment, folder):
        pass
    folder.experiment.write_text(at(experiment, old / "elsewhere").to_yaml())
    assert origin_of(folder, read_records(folder.records)).strangers == 0
    assert read_run(folder).marks == ()
    folder.as_run.unlink()
    assert origin_of(folder, read_records(folder.records)).strangers == len(list(read_records(folder.records)))


def test_evaluate_says_how_to_go_on_where_the_data_are_gone(old: Path) -> None:
    folder = RunFolder(old / "searched")
    moved(folder, old / "elsewhere")
    with pytest.raises(InputError, match=r"--set data\.path=.* --resume"):
        evaluate(folder.root)


def test_where_data_lie_is_no_part_of_what_an_experiment_is(old: Path) -> None:
    one = experiment_of(RunFolder(old / "whole"))
    other = at(one, Path("/elsewhere"), store=Path("/store"))
    assert one.fingerprint == other.fingerprint
    assert one.placed_fingerprint != other.placed_fingerprint
    assert one.fingerprint != at(one, one.data.path, size=48).fingerprint


@pytest.mark.parametrize("again", [True, False])
def test_data_that_are_gone_from_where_the_run_had_them_name_the_way_on(old: Path, again: bool) -> None:
    folder = RunFolder(old / "searched")
    experiment = experiment_of(folder)
    shutil.move(experiment.data.path, old / "elsewhere")
    lost = experiment if again else at(experiment, old / "nowhere")
    with pytest.raises(InputError, match=r"--set data\.path=WHERE_THEY_ARE --out \S+ --resume$") as caught:
        run(lost, folder.root, resume=True)
    assert str(experiment.data.path) in str(caught.value)
    assert (str(old / "nowhere") in str(caught.value)) is not again

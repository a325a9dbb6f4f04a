"""The searcher: journal, states, seeds, and what a crash leaves."""

import math
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from builders.provenance import PROVENANCE
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.records import TrialRecord
from orchestrator.search.default_trial import DEFAULT_TRIAL
from orchestrator.search.journal import open_study, put_aside
from orchestrator.search.searcher import THRESHOLD, OptunaSearcher, agrees, rebuild, reconcile, report, tell
from search_spaces import patch_knn
from search_spaces.pca_logistic import suggest
from trainables.interface import Mode
from trainables.patch_knn import FAMILY as PATCH_KNN
from trainables.pca_logistic import FAMILY
from trainables.speed import Limits, Speed


def ended(number: int, status: Status, value: float | None) -> TrialRecord:
    return TrialRecord.model_validate(
        {
            "stage": "search",
            "family": "pca_logistic",
            "variant": "v",
            "trial": number,
            "seed": 0,
            "split": "validation",
            "config": {},
            "metrics": {} if value is None else {"macro_f1": value},
            "status": status,
            "seconds": 1.0,
            "provenance": PROVENANCE,
        }
    )


def searcher(study: optuna.Study, **changes: Any) -> OptunaSearcher:
    options: dict[str, Any] = {"fixed": {}, "space": {}, "seed": 3, "training_seed": 0, **changes}
    return OptunaSearcher(study, suggest, FAMILY.config, **options)


def play(study: optuna.Study, count: int, sampler: str = "tpe", worth: float = 1.0) -> list[dict[str, Any]]:
    """Ask for trials one at a time, each ending with a value that hangs on its configuration."""
    asker = searcher(study, sampler=sampler)
    configs = []
    for _ in range(count):
        suggested = asker.suggest("tune-id")
        configs.append(suggested["config"])
        tell(study, ended(suggested["number"], "completed", worth * suggested["config"]["C"]), "macro_f1")
    return configs


def test_the_same_seed_draws_the_same_and_a_resume_goes_on_as_undisturbed(tmp_path: Path) -> None:
    whole = play(open_study(tmp_path / "a" / "x.journal", "x", "max"), 14)
    assert len({str(config) for config in whole}) == 14
    first = play(open_study(tmp_path / "b" / "x.journal", "x", "max"), 6)
    # A new process would open the journal anew; so does a new study object.
    rest = play(open_study(tmp_path / "b" / "x.journal", "x", "max"), 8)
    assert first + rest == whole


def test_random_learns_from_no_trial_and_goes_on_as_undisturbed_too(tmp_path: Path) -> None:
    def studies(name: str) -> optuna.Study:
        return open_study(tmp_path / name / "x.journal", "x", "max")

    whole = play(studies("a"), 14, "random")
    assert len({str(config) for config in whole}) == 14
    assert play(studies("b"), 6, "random") + play(studies("b"), 8, "random") == whole
    assert play(studies("c"), 14, "random", worth=-1.0) == whole
    assert play(studies("d"), 14, worth=-1.0) != play(studies("e"), 14)


@pytest.mark.parametrize(
    ("status", "value", "state"),
    [
        ("completed", 0.5, TrialState.COMPLETE),
        ("completed", float("inf"), TrialState.FAIL),
        ("completed", None, TrialState.FAIL),
        ("pruned", 0.5, TrialState.PRUNED),
        ("failed", None, TrialState.FAIL),
        ("out-of-memory", None, TrialState.FAIL),
        ("timed-out", 0.5, TrialState.FAIL),
    ],
)
def test_each_status_has_its_state(tmp_path: Path, status: Status, value: float | None, state: TrialState) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    number = searcher(study).suggest("id")["number"]
    tell(study, ended(number, status, value), "macro_f1")
    assert study.trials[number].state is state


def pruned(number: int, curve: list[float]) -> TrialRecord:
    history = [{"epoch": float(epoch), "macro_f1": value} for epoch, value in enumerate(curve, start=1)]
    return ended(number, "pruned", max(curve)).model_copy(update={"history": history})


def test_epochs_are_intermediate_values_and_a_pruned_trial_keeps_them(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    study = open_study(journal, "x", "max")
    number = searcher(study).suggest("id")["number"]
    report(study, number, 1, 0.2)
    report(study, number, 2, math.nan)
    report(study, number, 1, 0.9)  # of a training that was lost; its record is of another
    tell(study, pruned(number, [0.2, 0.4, 0.3]), "macro_f1")
    tell(study, pruned(number, [0.5]), "macro_f1")
    (trial,) = open_study(journal, "x", "max").trials
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.2, 2: 0.4, 3: 0.3}


@pytest.mark.parametrize(("mode", "better"), [("max", 0.9), ("min", 0.1)])
def test_tpe_ranks_pruned_trials_by_how_far_they_came_and_then_by_their_values(
    tmp_path: Path, mode: Mode, better: float
) -> None:
    study = open_study(tmp_path / "x.journal", "x", mode)
    asker = searcher(study)
    for curve in ([0.5], [0.5, 1 - better], [0.5, better]):
        tell(study, pruned(asker.suggest("id")["number"], curve), "macro_f1")
    below, above = _split_trials(study, study.trials, 1)
    assert [trial.number for trial in below] == [2]
    assert [trial.number for trial in above] == [0, 1]
    assert [trial.number for trial in _split_trials(study, study.trials, 2)[0]] == [1, 2]


def play_pruned(study: optuna.Study, records: list[TrialRecord], count: int, live: bool) -> None:
    """Go on with trials, two in three of them pruned; `live`: each epoch is told as it ends."""
    asker = searcher(study)
    for _ in range(count):
        suggested = asker.suggest("tune-id")
        number, config = suggested["number"], suggested["config"]
        curve = [config["C"] * part for part in (0.5, 0.8, 1.0)]
        record = pruned(number, curve) if number % 3 else ended(number, "completed", curve[-1])
        for epoch, value in enumerate(curve, start=1) if live else ():
            report(study, number, epoch, value)
        records.append(record.model_copy(update={"config": config}))
        tell(study, records[-1], "macro_f1")


@pytest.mark.parametrize("how", ["resumed", "rebuilt", "told at the end"])
def test_with_pruned_trials_a_resume_draws_the_same(tmp_path: Path, how: str) -> None:
    whole: list[TrialRecord] = []
    play_pruned(open_study(tmp_path / "a.journal", "x", "max"), whole, 18, live=True)
    records: list[TrialRecord] = []
    study = open_study(tmp_path / "b.journal", "x", "max")
    play_pruned(study, records, 13, live=how != "told at the end")
    if how == "resumed":
        study = open_study(tmp_path / "b.journal", "x", "max")
    elif how == "rebuilt":
        study = open_study(tmp_path / "c.journal", "x", "max")
        rebuild(study, records, searcher(study), "macro_f1")
    assert agrees(study, records)
    play_pruned(study, records, 5, live=True)
    assert [record.config for record in records] == [record.config for record in whole]


def test_a_study_of_before_epochs_were_told_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    study = open_study(journal, "x", "max")
    records = []
    for _ in range(12):
        suggested = searcher(study).suggest("id")
        record = pruned(suggested["number"], [0.1, 0.2]).model_copy(update={"config": suggested["config"]})
        study.tell(record.trial, state=TrialState.PRUNED)
        records.append(record)
    found = open_study(journal, "x", "max")
    assert agrees(found, records)
    reconcile(found, records, "macro_f1")
    assert not any(trial.intermediate_values for trial in found.trials)
    assert searcher(found).suggest("next")["number"] == 12


def test_after_a_crash_recorded_trials_are_told_and_running_ones_come_first_again(tmp_path: Path) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    asker = searcher(study)
    recorded, lost = asker.suggest("a"), asker.suggest("b")
    again = open_study(tmp_path / "x.journal", "x", "max")
    reconcile(again, [ended(recorded["number"], "completed", 0.7)], "macro_f1")
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert searcher(again).suggest("c") == lost
    assert len(again.trials) == 2


def test_killed_after_every_trial_it_draws_what_the_undisturbed_run_draws(tmp_path: Path) -> None:
    whole = play(open_study(tmp_path / "a" / "x.journal", "x", "max"), 14)
    drawn: list[dict[str, Any]] = []
    for number in range(14):
        study = open_study(tmp_path / "b" / "x.journal", "x", "max")
        searcher(study).suggest("killed while it ran")
        after = open_study(tmp_path / "b" / "x.journal", "x", "max")
        suggested = searcher(after).suggest("again")
        assert suggested["number"] == number
        drawn.append(suggested["config"])
        tell(after, ended(number, "completed", suggested["config"]["C"]), "macro_f1")
    assert drawn == whole


@pytest.mark.parametrize("how", ["deleted", "emptied", "noise", "another run's"])
def test_a_lost_journal_is_rebuilt_from_the_records(tmp_path: Path, how: str) -> None:
    whole = play(open_study(tmp_path / "a" / "x.journal", "x", "max"), 14)
    journal = tmp_path / "b" / "x.journal"
    study = open_study(journal, "x", "max")
    asker = searcher(study)
    records = []
    for number in range(6):
        suggested = asker.suggest("id")
        record = ended(number, "completed", suggested["config"]["C"])
        records.append(record.model_copy(update={"config": suggested["config"]}))
        tell(study, records[-1], "macro_f1")
    match how:
        case "deleted":
            journal.unlink()
        case "emptied":
            journal.write_bytes(b"")
        case "noise":
            journal.write_bytes(b"\x00\xffnoise\n" * 20)
        case _:
            other = open_study(tmp_path / "c" / "x.journal", "x", "max")
            options: dict[str, Any] = {"fixed": {}, "space": {}, "seed": 99, "training_seed": 0}
            foreign = OptunaSearcher(other, suggest, FAMILY.config, **options)
            for _ in range(8):
                foreign.suggest("id")
            journal.write_bytes((tmp_path / "c" / "x.journal").read_bytes())
    found = open_study(journal, "x", "max")
    assert not agrees(found, records)
    put_aside(journal)
    found = open_study(journal, "x", "max")
    rebuild(found, records, searcher(found), "macro_f1")
    assert agrees(found, records)
    assert [record.config for record in records] + play(found, 8) == whole


def test_a_record_that_was_lost_is_made_again_under_its_number(tmp_path: Path) -> None:
    whole = play(open_study(tmp_path / "a" / "x.journal", "x", "max"), 9)
    journal = tmp_path / "a" / "x.journal"
    study = open_study(journal, "x", "max")
    records = [
        ended(number, "completed", whole[number]["C"]).model_copy(update={"config": whole[number]})
        for number in range(9)
        if number not in (4, 8)
    ]
    assert not agrees(study, records)
    put_aside(journal)
    study = open_study(journal, "x", "max")
    rebuild(study, records, searcher(study), "macro_f1")
    again = searcher(study)
    first = again.suggest("id")
    assert (first["number"], first["config"]) == (4, whole[4])
    tell(study, ended(4, "completed", whole[4]["C"]), "macro_f1")
    assert again.suggest("id")["config"] == whole[8]


def test_fixed_and_space_reach_the_configuration(tmp_path: Path) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    asker = searcher(study, fixed={"thumbnail": 16}, space={"components": [5], "class_weights": ["balanced"]})
    config = asker.suggest("a")["config"]
    assert config["thumbnail"] == 16
    assert config["components"] == 5
    assert config["class_weights"] == "balanced"


@pytest.mark.parametrize("told", [3, 12])
def test_killed_between_two_lines_of_the_journal_it_draws_what_the_undisturbed_run_draws(
    tmp_path: Path, told: int
) -> None:
    journal = tmp_path / "x.journal"
    play(open_study(journal, "x", "max"), told)
    before = journal.read_bytes()
    whole = searcher(open_study(journal, "x", "max")).suggest("undisturbed")
    written = journal.read_bytes()[len(before) :].splitlines(keepends=True)
    assert len(written) >= 4  # the trial, and its three parameters
    for lines in range(len(written) + 1):
        journal.write_bytes(before + b"".join(written[:lines]))
        assert searcher(open_study(journal, "x", "max")).suggest("again") == whole


def test_choices_that_a_family_writes_otherwise_are_found_again(tmp_path: Path) -> None:
    def asker(found: optuna.Study) -> OptunaSearcher:
        return OptunaSearcher(
            found,
            patch_knn.suggest,
            PATCH_KNN.config,
            fixed={},
            space={"layers": ["3+2", "2"]},
            seed=0,
            training_seed=0,
        )

    study = open_study(tmp_path / "a.journal", "x", "max")
    asking, records = asker(study), []
    for _ in range(6):
        suggested = asking.suggest("id")
        record = ended(suggested["number"], "completed", 0.5).model_copy(update={"config": suggested["config"]})
        records.append(record)
        tell(study, record, "macro_f1")
    assert {record.config["layers"] for record in records} == {"2+3", "2"}
    assert agrees(study, records)
    fresh = open_study(tmp_path / "b.journal", "x", "max")
    rebuild(fresh, records, asker(fresh), "macro_f1")
    assert [trial.params for trial in fresh.trials] == [trial.params for trial in study.trials]


@pytest.mark.parametrize("lost", [None, "before it ended", "with its journal", "journal, record kept"])
def test_the_default_configuration_comes_first_and_after_a_crash_too(tmp_path: Path, lost: str | None) -> None:
    default = FAMILY.config().model_dump(mode="json")
    journal = tmp_path / "x.journal"
    study = open_study(journal, "x", "max")
    first = searcher(study, default_first=True).suggest("a")
    assert first["number"] == DEFAULT_TRIAL
    record = ended(0, "completed", 0.5).model_copy(update={"config": first["config"]})
    match lost:
        case "before it ended":
            study = open_study(journal, "x", "max")
            assert searcher(study, default_first=True).suggest("again") == first
        case "with its journal":
            put_aside(journal)
            study = open_study(journal, "x", "max")
            kept = [
                ended(1, "completed", 0.4).model_copy(update={"config": {"thumbnail": 16, "components": 5, "C": 1}})
            ]
            rebuild(study, kept, searcher(study, default_first=True), "macro_f1")
            assert searcher(study, default_first=True).suggest("again") == first
        case "journal, record kept":
            put_aside(journal)
            study = open_study(journal, "x", "max")
            rebuild(study, [record], searcher(study, default_first=True), "macro_f1")
            assert agrees(study, [record])
    tell(study, record, "macro_f1")
    assert {**default, **first["config"]} == default
    assert set(first["config"]) == {"thumbnail", "components", "C"}
    assert study.trials[0].params == first["config"], "the sampler learns from it"
    second = searcher(study, default_first=True).suggest("b")
    assert second["number"] > 0
    assert second["config"] != first["config"]


def test_a_default_outside_what_is_searched_is_tried_all_the_same(tmp_path: Path) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    space = {"components": {"low": 200, "high": 220}, "thumbnail": [16, 48], "class_weights": ["balanced"]}
    changes: dict[str, Any] = {"fixed": {"C": 3.0}, "space": space, "strategies": ("youden", "max_normal")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asker = searcher(study, default_first=True, **changes)
        suggested = asker.suggest("a")
    default = FAMILY.config(C=3.0).model_dump(mode="json")
    assert {**default, **suggested["config"]} == default
    assert suggested["strategy"] == "youden"
    assert default["thumbnail"] not in space["thumbnail"]
    assert study.trials[0].params == {THRESHOLD: "youden"}
    assert asker.suggest("b")["config"]["components"] >= 200


def constrained(study: optuna.Study, count: int, limits: Limits) -> tuple[list[float], list[TrialRecord]]:
    """What is drawn for C where the larger ones are better, and slow from 1 on."""
    asker, drawn, records = searcher(study), [], []
    for _ in range(count):
        suggested = asker.suggest("id")
        drawn.append(suggested["config"]["C"])
        speed = Speed(latency_ms=10 * drawn[-1], memory=1, device="it", threads=1)
        record = ended(suggested["number"], "completed", drawn[-1])
        records.append(record.model_copy(update={"config": suggested["config"], "speed": speed}))
        tell(study, records[-1], "macro_f1", limits)
    return drawn, records


def test_tpe_draws_less_of_what_is_beyond_the_limits_and_goes_on_as_undisturbed(tmp_path: Path) -> None:
    limits = Limits(latency_ms=10)
    whole, records = constrained(open_study(tmp_path / "a" / "x.journal", "x", "max"), 40, limits)
    free, _ = constrained(open_study(tmp_path / "b" / "x.journal", "x", "max"), 40, Limits())
    assert whole[:10] == free[:10], "these are drawn before anything is learnt"
    slow, slow_without = (sum(one > 1 for one in drawn[10:]) for drawn in (whole, free))
    assert slow < slow_without / 2
    first = open_study(tmp_path / "c" / "x.journal", "x", "max")
    rebuild(first, records[:20], searcher(first), "macro_f1", limits)
    assert [one.constraints for one in first.trials] == [limits.excess(one.speed) for one in records[:20]]
    rest, _ = constrained(open_study(tmp_path / "c" / "x.journal", "x", "max"), 20, limits)
    assert rest == whole[20:]


def test_limits_told_before_a_crash_are_not_told_again(tmp_path: Path) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    number, limits = searcher(study).suggest("id")["number"], Limits(memory_mb=1.0)
    optuna.Trial(study, study.trials[number]._trial_id).set_constraint("memory_mb", 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconcile(study, [ended(number, "completed", 0.5)], "macro_f1", limits)
    assert study.trials[number].constraints == {"memory_mb": 1.0}, "what was not measured is beyond"
    assert study.trials[number].state is TrialState.COMPLETE


def test_without_limits_a_study_hears_of_none(tmp_path: Path) -> None:
    study = open_study(tmp_path / "x.journal", "x", "max")
    constrained(study, 2, Limits())
    assert [one.system_attrs for one in study.trials] == [{}, {}]

"""Runs beside each other: what moved, what is refused, and what is said."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from orchestrator.artifacts.records import append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.comparing.changes import ABSENT
from orchestrator.comparing.compared import compare_runs
from orchestrator.comparing.comparison import comparison_json, read_comparison
from orchestrator.comparing.comparison_report import comparison_report
from orchestrator.comparing.differences import Move
from orchestrator.report.document.plain_text import to_text
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from trainables.errors import InputError

MakeRun = Callable[..., Path]
Orchestrate = Callable[..., Any]
BEFORE = {0: 0.80, 1: 0.82, 2: 0.79, 3: 0.81, 4: 0.80}
RISEN = {0: 0.90, 1: 0.915, 2: 0.89, 3: 0.905, 4: 0.902}
NOISY = {0: 0.82, 1: 0.80, 2: 0.80, 3: 0.79, 4: 0.83}


def by_name(moves: tuple[Move, ...]) -> dict[tuple[str, str], Move]:
    return {(move.variant, move.metric): move for move in moves}


def test_differences_are_paired_tested_and_corrected(make_run: MakeRun) -> None:
    a = make_run("a", {"pca": BEFORE, "vae": BEFORE})
    b = make_run("b", {"pca": RISEN, "vae": NOISY})
    found = read_comparison([a, b])
    moves = by_name(found.others[0].moves)
    risen, noisy = moves["pca", "roc_auc"], moves["vae", "roc_auc"]
    assert found.tests == 2
    assert risen.comparison is not None
    assert noisy.comparison is not None
    raw = [one.p for one in (risen.comparison, noisy.comparison)]
    assert raw[0] is not None
    assert raw[1] is not None
    assert raw[0] < 1e-4 < 0.3 < raw[1]
    # Holm: the smaller p times two, the larger one as it is.
    assert risen.comparison.p_corrected == pytest.approx(2 * raw[0])
    assert noisy.comparison.p_corrected == pytest.approx(raw[1])
    assert (risen.outcome, risen.explanation) == ("moved significantly", "better")
    assert noisy.outcome == "no significant change"
    assert risen.comparison.difference.mean == pytest.approx(
        np.mean(list(RISEN.values())) - np.mean(list(BEFORE.values()))
    )


def test_a_metric_that_should_fall_is_worse_when_it_rises(make_run: MakeRun) -> None:
    a, b = (
        make_run(name, {"vae": values}, objective={"metric": "roc_auc", "mode": "min", "test_metric": "roc_auc"})
        for name, values in (("a", BEFORE), ("b", RISEN))
    )
    moves = by_name(read_comparison([a, b]).others[0].moves)
    assert moves["vae", "roc_auc"].explanation == "worse"


@pytest.mark.parametrize(
    ("before", "after", "outcome", "explanation"),
    [
        ({0: 0.8}, {0: 0.9}, "no test", "one seed in common"),
        ({0: 0.8, 1: 0.8}, {2: 0.9, 3: 0.9}, "no test", "no seed in common"),
        ({0: 0.8, 1: 0.7}, {0: 0.8, 1: 0.7}, "unchanged", "the same with every seed"),
        ({0: 0.8}, {0: 0.8}, "unchanged", "the same with every seed"),
        ({0: 0.8, 1: 0.7}, {0: 0.8}, "unchanged", "the same with every seed in common"),
    ],
)
def test_what_can_not_be_tested_says_why(
    make_run: MakeRun, before: Any, after: Any, outcome: str, explanation: str
) -> None:
    a, b = make_run("a", {"vae": before}), make_run("b", {"vae": after}, code="0.2.0")
    (move,) = read_comparison([a, b]).others[0].moves
    assert (move.outcome, move.explanation) == (outcome, explanation)
    assert "No test could be made" in to_text(comparison_report(read_comparison([a, b])))


def test_means_over_other_seeds_than_the_difference_are_said_to_be(make_run: MakeRun) -> None:
    a, b, c = (make_run(name, {"vae": values}) for name, values in (("a", BEFORE), ("b", RISEN), ("c", {0: 0.80})))
    few, whole = (to_text(comparison_report(read_comparison([a, other]))) for other in (c, b))
    said = "differences over those in common: they need not agree"
    assert said in " ".join(few.split())
    assert "all 0 tests" not in few
    assert said not in " ".join(whole.split())
    assert "Holm-corrected over all 1 test" in " ".join(whole.split())


def test_the_interval_is_that_of_two_variants_of_one_run(make_run: MakeRun) -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(60) % 2
    kept = {
        (variant, seed): generator.normal(0, 1, 60) + skill * labels
        for variant, skill in (("old", 1.0), ("new", 1.4))
        for seed in range(3)
    }
    figures: dict[str, dict[int, float]] = {"old": {}, "new": {}}
    for (variant, seed), scores in kept.items():
        figures[variant][seed] = float(roc_auc_score(labels, scores))
    one = make_run("one", figures, scores=kept, baseline="old")
    a, b = (
        make_run(name, {"m": figures[variant]}, scores={("m", seed): kept[variant, seed] for seed in range(3)})
        for name, variant in (("a", "old"), ("b", "new"))
    )
    (move,) = read_comparison([a, b]).others[0].moves
    rows = {row.variant: row for row in standings(read_run(RunFolder(one)))}
    assert move.comparison is not None
    assert move.comparison.difference == rows["new"].comparisons["roc_auc"].difference
    assert move.comparison.difference.with_pictures
    assert (move.first, move.second) == (rows["old"].estimates["roc_auc"], rows["new"].estimates["roc_auc"])


def test_a_steady_difference_that_other_pictures_could_turn_round_is_not_called_one(make_run: MakeRun) -> None:
    generator = np.random.default_rng(2)
    labels = np.arange(24) % 2
    scores = generator.normal(0, 1, 24) + labels
    other = generator.normal(0, 1, 24) + labels
    a, b = (
        make_run(name, {"m": dict(enumerate(values))}, scores={("m", seed): one for seed in range(5)})
        for name, one, values in (
            ("a", scores, BEFORE.values()),
            ("b", other, [v + 0.01 + 1e-4 * v for v in BEFORE.values()]),
        )
    )
    (move,) = read_comparison([a, b]).others[0].moves
    assert move.comparison is not None
    assert move.comparison.p_corrected is not None
    assert move.comparison.p_corrected > 0.3
    assert (move.outcome, move.explanation) == ("no significant change", "")


def test_without_scores_nothing_is_claimed(make_run: MakeRun) -> None:
    a, b = make_run("a", {"m": BEFORE}, scores={}), make_run("b", {"m": RISEN}, scores={})
    found = read_comparison([a, b])
    (move,) = found.others[0].moves
    assert (found.tests, move.outcome) == (0, "no test")
    assert move.explanation.startswith("the test scores of both on the same pictures are not there")
    assert "the interval covers seeds alone and no test is made" in " ".join(to_text(comparison_report(found)).split())


def test_every_run_stands_against_the_first_and_the_correction_counts_all(make_run: MakeRun) -> None:
    a, b, c = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN}), make_run("c", {"vae": NOISY})
    found = read_comparison([a, b, c])
    assert [one.run.name for one in found.others] == ["b", "c"]
    assert found.tests == 2
    text = to_text(comparison_report(found))
    assert "B against A" in text
    assert "C against A" in text
    assert "of all runs here" in " ".join(text.split())


def test_renamed_and_lonely_variants(make_run: MakeRun) -> None:
    a = make_run("a", {"vae": BEFORE, "gone": BEFORE})
    b = make_run("b", {"vae2": RISEN, "come": NOISY})
    with pytest.raises(InputError, match="--match NAME=NAME"):
        read_comparison([a, b])
    found = read_comparison([a, b], matches=["vae=vae2"]).others[0]
    outcomes = {(move.variant, move.other): move.outcome for move in found.moves}
    assert outcomes == {
        ("vae", "vae2"): "moved significantly",
        ("gone", "gone"): "only in the first",
        ("come", "come"): "only in the second",
    }
    text = to_text(comparison_report(read_comparison([a, b], matches=["vae=vae2"])))
    assert "vae = vae2" in text
    assert "only in A" in text
    assert "only in B" in text
    for wrong in ("vae", "nope=vae2", "vae=nope", "="):
        with pytest.raises(InputError, match="NAME=NAME"):
            read_comparison([a, b], matches=[wrong])
    with pytest.raises(InputError, match="matched once"):
        read_comparison([a, b], matches=["vae=vae2", "gone=vae2"])


def test_another_split_is_refused_or_marked(make_run: MakeRun, orchestrate: Orchestrate) -> None:
    a = make_run("a", {"vae": BEFORE})
    b = make_run("b", {"vae": RISEN}, split="6" * 32, tested=("test/1.png", "train/0.png", "test/2.png"))
    ended = orchestrate("compare", a, b)
    assert ended.code == 2
    assert "The split differs: " + "5" * 32 in ended.err
    assert "1 test picture in common, by path, of 2 and 3" in ended.err
    assert "--mark" in ended.err
    marked = orchestrate("compare", a, b, "--mark", "--json")
    assert marked.code == 0
    (one,) = json.loads(marked.out)["others"]
    assert one["comparable"] is False
    assert {(move["outcome"], move["difference"], move["p"]) for move in one["moves"]} == {
        ("not comparable", None, None)
    }
    assert json.loads(marked.out)["tests"] == 0
    text = orchestrate("compare", a, b, "--mark").out
    rows = [line for line in text.splitlines() if line.startswith("vae")]
    assert rows
    assert all("other split: not" in line for line in rows)


def test_other_data_and_a_split_file_that_says_otherwise_are_seen(make_run: MakeRun) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN}, data="e" * 32)
    with pytest.raises(InputError, match="The data differ"):
        read_comparison([a, b])
    c = make_run("c", {"vae": RISEN})
    told = json.loads((c / "split.json").read_text())
    (c / "split.json").write_text(json.dumps(told | {"fingerprint": "7" * 32}))
    with pytest.raises(InputError, match="c holds 2 fingerprints of its split"):
        read_comparison([a, c])
    (c / "split.json").unlink()
    found = read_comparison([a, c])
    assert found.others[0].check.same
    assert any("split.json is missing" in notice for notice in found.notices)


def test_what_was_set_and_installed_otherwise_is_listed(make_run: MakeRun) -> None:
    a = make_run("a", {"vae": BEFORE}, config={"lr": 0.1, "net": {"width": 3}}, budget={"trials": 2})
    b = make_run(
        "b", {"vae": RISEN}, config={"lr": 0.1, "net": {"width": 4}, "more": True}, budget={"trials": 9}, code="0.2.0"
    )
    found = read_comparison([a, b]).others[0].changes
    rows = {(one.scope, one.variant, one.key): (one.before, one.after) for one in found}
    assert rows == {
        ("experiment", "", "budget.trials"): (2, 9),
        ("winner", "vae", "net.width"): (3, 4),
        ("winner", "vae", "more"): (ABSENT, True),
        ("environment", "", "code"): ("0.1.0", "0.2.0"),
    }


def test_a_variant_of_one_run_alone_is_one_change(make_run: MakeRun) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN, "new": RISEN}, families={"new": "patch_knn"})
    (row,) = read_comparison([a, b]).others[0].changes
    assert (row.key, row.before, row.after) == ("families.new", ABSENT, "patch_knn")


def test_metrics_can_be_chosen_so_that_fewer_tests_are_corrected_for(make_run: MakeRun) -> None:
    a, b = (
        make_run(
            name, {"vae": {seed: {"roc_auc": value, "average_precision": value**2} for seed, value in values.items()}}
        )
        for name, values in (("a", BEFORE), ("b", NOISY))
    )
    assert read_comparison([a, b]).tests == 2
    assert read_comparison([a, b], metrics=["average_precision"]).tests == 1
    with pytest.raises(InputError, match="No run has the metric nope"):
        read_comparison([a, b], metrics=["nope"])


def test_bad_input_is_refused_in_words(make_run: MakeRun, tmp_path: Path) -> None:
    a = make_run("a", {"vae": BEFORE})
    cases = {
        "at least two runs": [a],
        "same folder": [a, tmp_path / "x" / ".." / "a"],
        "no run with results": [a, tmp_path / "nowhere"],
        "no evaluated cell that completed": [a, make_run("failed", {"vae": BEFORE}, status="failed")],
        "different tasks": [a, make_run("plots", {"m": BEFORE}, families={"m": "pca_logistic"})],
        "no metric in common": [a, make_run("other", {"vae": {0: {"f1": 0.5}}})],
    }
    (tmp_path / "x").mkdir()
    for words, paths in cases.items():
        with pytest.raises(InputError, match=words):
            read_comparison(paths)
    copy = make_run("copy", {"vae": BEFORE})
    with pytest.raises(InputError, match="copy of a"):
        read_comparison([a, copy])


def rewrite(run: Path, **more: Any) -> None:
    """The run's last record again with other fields, under a right checksum."""
    import zlib

    from orchestrator.artifacts.records import MARK, append_line

    text = list(read_records(run / "records.jsonl"))[-1].model_dump(mode="json") | more
    line = json.dumps(text)
    append_line(run / "records.jsonl", f'{line[:-1]}{MARK}{zlib.crc32(line.encode()):08x}"}}')


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"format": 2}, "has format 2; this version reads format 1 .version 0.9.1 of this package wrote it"),
        ({"flavour": "new"}, "fields that this version does not know: flavour .version 0.9.1"),
        ({"seconds": "long"}, "can't be read"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "leaderboard"])
def test_records_of_another_version_are_refused_clearly(
    make_run: MakeRun, orchestrate: Orchestrate, command: str, more: dict[str, Any], words: str
) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN}, code="0.9.1")
    rewrite(b, **more)
    ended = orchestrate(command, a, b)
    assert ended.code == 2
    assert re.search(words, ended.err)
    assert "Traceback" not in ended.err


def test_an_unfinished_last_line_is_left_out_and_said(make_run: MakeRun) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN})
    with (b / "records.jsonl").open("ab") as file:
        file.write(b'{"format": 1, "stage"')
    found = read_comparison([a, b])
    assert any(notice.startswith("b: The last line") for notice in found.notices)
    assert found.others[0].moves[0].outcome == "moved significantly"


def test_the_pages_hold_the_same_numbers_and_escape_names(
    make_run: MakeRun, orchestrate: Orchestrate, tmp_path: Path
) -> None:
    name = "<script>alert(1)</script> _a|b & 100%\u202e\n日本"
    a, b = (
        make_run(f"{folder}", {name: values}, families={name: "pca"}, config={"<b>": mark})
        for folder, values, mark in (("a<i>", BEFORE, "$x$"), ("b", RISEN, "<img>"))
    )
    ended = orchestrate("compare", a, b, "--json", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["report"] == str(tmp_path / "out" / "index.html")
    assert told["others"][0]["moves"][0]["variant"] == name
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    text = orchestrate("compare", a, b).out
    assert "<script>alert" not in html
    assert "<img>" not in html
    assert "\u202e" not in html + markdown + text
    assert not re.search(r"(src|href)=.?(https?:)?//", html)
    for number in ("0.804", "0.902", "+0.098", "< 0.001"):
        assert number.replace("<", "&lt;") in html
        assert number.replace("<", "\\<") in markdown
        assert number in text
    assert f"{told['others'][0]['moves'][0]['p_holm']}" in (tmp_path / "out" / "tables" / "moves.csv").read_text()
    assert max(map(len, text.splitlines())) <= 100


def test_pages_never_lie_in_a_run(make_run: MakeRun, orchestrate: Orchestrate) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN})
    ended = orchestrate("compare", a, b, "--out", b / "report")
    assert ended.code == 2
    assert "would be overwritten" in " ".join(ended.err.split())
    assert not (b / "report").exists()


def test_a_folder_that_can_not_be_written_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": RISEN})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        compare_runs([a, b], out=tmp_path / "file")


def test_json_keeps_its_keys_and_holds_no_nan(make_run: MakeRun) -> None:
    a, b = make_run("a", {"vae": {0: 0.8}}), make_run("b", {"vae": {1: 0.9}})
    told = comparison_json(read_comparison([a, b]))
    json.dumps(told, allow_nan=False)
    assert set(told) == {"first", "task", "objective", "tests", "correction", "notices", "others"}
    (one,) = told["others"]
    assert set(one) == {"run", "foreign", "comparable", "split", "changes", "moves"}
    assert set(one["moves"][0]) == {
        "variant", "variant_second", "metric", "first", "first_low", "first_high", "first_seeds", "second",
        "second_low", "second_high", "second_seeds", "difference", "difference_low", "difference_high", "paired_seeds",
        "with_pictures", "probability_better", "p", "p_holm", "outcome", "explanation",
    }  # fmt: skip
    assert one["moves"][0]["difference"] is None


def test_a_cell_that_ran_again_counts_once(make_run: MakeRun) -> None:
    a, b = make_run("a", {"vae": BEFORE}), make_run("b", {"vae": BEFORE})
    last = list(read_records(b / "records.jsonl"))[-1]
    append_record(b / "records.jsonl", last.model_copy(update={"metrics": {"roc_auc": 0.99}}))
    (move,) = read_comparison([a, b]).others[0].moves
    assert move.second is not None
    assert move.second.seeds == 5
    assert move.second.mean == pytest.approx((sum(BEFORE.values()) - BEFORE[4] + 0.99) / 5)

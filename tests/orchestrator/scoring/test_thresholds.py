"""Threshold strategies against their formulas, and the choice between them."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_curve

from orchestrator.scoring.confusion_counts import just_below
from orchestrator.scoring.strategy_rules import RULES
from orchestrator.scoring.thresholds import (
    DEFAULT_STRATEGIES,
    Strategy,
    at_threshold,
    choose,
    parse_strategy,
    usable,
)
from trainables.errors import InputError

NORMAL = np.array([0.1, 0.2, 0.3, 0.4, 1.0])
ANOMALOUS = np.array([0.35, 0.9, 1.1, 1.3])
SCORES = np.concatenate((NORMAL, ANOMALOUS))
LABELS = np.repeat([0, 1], [5, 4])


def fit(text: str, scores: np.ndarray = SCORES, labels: np.ndarray = LABELS) -> float:
    return parse_strategy(text).fit(scores, labels)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("percentile(0)", 0.1),
        ("percentile(50)", 0.3),
        ("percentile(95)", np.percentile(NORMAL, 95)),
        ("percentile(100)", 1.0),
        ("mean_std(0)", 0.4),
        ("mean_std(2)", 0.4 + 2 * np.sqrt(np.mean((NORMAL - 0.4) ** 2))),
        ("max_normal", 1.0),
        ("midpoint_of_means", (0.4 + 0.9125) / 2),
        ("min_anomaly", just_below(0.35)),
        ("mean_anomaly", just_below(float(ANOMALOUS.mean()))),
        ("max_anomaly", just_below(1.3)),
        ("min_anomaly(0.25)", 0.35 + 0.25),
        ("max_anomaly(-0.5)", 1.3 - 0.5),
        ("youden", (0.3 + 0.35) / 2),
        ("f1_optimal", (0.3 + 0.35) / 2),
        ("tpr_at_least(0.5)", (1.0 + 1.1) / 2),
        ("tpr_at_least(0.75)", (0.4 + 0.9) / 2),
        ("tpr_at_least(0.76)", (0.3 + 0.35) / 2),
        ("tpr_at_least(1)", (0.3 + 0.35) / 2),
    ],
)
def test_values_by_hand(text: str, value: float) -> None:
    assert fit(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_optimal_cuts_against_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [60, 25])
    scores = np.round(generator.normal(labels * 1.2), 1)
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = at_threshold(scores, labels, fit("youden", scores, labels))
    assert found["tpr"] + found["tnr"] - 1 == pytest.approx((true - false).max(), abs=1e-12)
    found = at_threshold(scores, labels, fit("f1_optimal", scores, labels))
    best = max(f1_score(labels, scores >= value) for value in np.unique(scores))
    assert found["f1"] == pytest.approx(best, abs=1e-12)
    for least in (0.3, 0.88, 0.95, 1.0):
        value = fit(f"tpr_at_least({least})", scores, labels)
        assert at_threshold(scores, labels, value)["tpr"] >= least
        higher = scores[scores > value].min()
        assert at_threshold(scores, labels, higher)["tpr"] < least


def test_only_a_score_above_is_an_anomaly() -> None:
    assert at_threshold(SCORES, LABELS, fit("max_normal"))["tnr"] == 1.0
    assert at_threshold(SCORES, LABELS, fit("min_anomaly"))["tpr"] == 1.0
    assert at_threshold(SCORES, LABELS, fit("max_anomaly"))["tpr"] == 0.25


def test_of_equally_good_cuts_the_highest_is_taken() -> None:
    scores, labels = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1])
    assert fit("youden", scores, labels) == 3.5
    # 3 of 5 anomalies over 1 of 10 normals, or 5 over 5: .6 - .1 is not 1 - .5 in floats.
    labels = np.repeat([0, 1, 0, 1, 0], [5, 2, 4, 3, 1])
    assert fit("youden", np.arange(15.0), labels) == 10.5


@pytest.mark.parametrize("text", DEFAULT_STRATEGIES)
@pytest.mark.parametrize("value", [0.1, 0.7, 1e-300, -3.3])
def test_equal_scores_give_a_finite_threshold_and_one_verdict(text: str, value: float) -> None:
    # Sums of these round: a mean beyond the only value would turn every verdict.
    scores, labels = np.full(9, value), np.repeat([0, 1], [6, 3])
    threshold = fit(text, scores, labels)
    assert math.isfinite(threshold)
    caught = text.split("(")[0] in ("min_anomaly", "mean_anomaly", "max_anomaly", "f1_optimal", "tpr_at_least")
    assert (scores > threshold).tolist() == [caught] * 9


@pytest.mark.parametrize("text", DEFAULT_STRATEGIES)
def test_one_score_of_each_class_is_enough(text: str) -> None:
    assert math.isfinite(fit(text, np.array([1.0, 2.0]), np.array([0, 1])))


@pytest.mark.parametrize("text", DEFAULT_STRATEGIES)
def test_normals_alone_are_refused_where_anomalies_are_needed(text: str) -> None:
    strategy = parse_strategy(text)
    if strategy.needs_anomalies:
        with pytest.raises(
            InputError, match=r"needs the scores of anomalies.*one of: percentile\(q\), mean_std\(k\), max"
        ):
            strategy.fit(NORMAL, np.zeros(5, dtype=np.int64))
    else:
        assert strategy.fit(NORMAL, np.zeros(5, dtype=np.int64)) == strategy.fit(SCORES, LABELS)


def test_anomalies_alone_are_refused_where_normals_are_needed() -> None:
    with pytest.raises(InputError, match=r"max_normal needs the scores of normals.*one of: min_anomaly\(offset\)"):
        fit("max_normal", ANOMALOUS, np.ones(4, dtype=np.int64))


def test_scores_too_large_to_compute_with_are_an_error() -> None:
    huge = np.array([-1.5e308, 1.5e308, 1.7e308])
    for text in ("mean_std(2)", "max_anomaly(1e308)"):
        with pytest.raises(ValueError, match="scores are too large"):
            fit(text, huge, np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="must be finite"):
        fit("max_normal", np.array([1.0, np.nan]), np.array([0, 0]))


@pytest.mark.parametrize("text", [*DEFAULT_STRATEGIES, "min_anomaly(-0.25)", "percentile(99.5)", "mean_std(1e+22)"])
def test_text_and_strategy_are_one(text: str) -> None:
    assert parse_strategy(text).text == text
    assert parse_strategy(f"  {text.replace('(', ' ( ')} ") == parse_strategy(text)


def test_every_rule_of_the_protocol_is_compared_by_default() -> None:
    assert {text.split("(")[0] for text in DEFAULT_STRATEGIES} == {
        *("percentile", "mean_std", "max_normal", "midpoint_of_means", "min_anomaly", "mean_anomaly", "max_anomaly"),
        *("youden", "f1_optimal", "tpr_at_least"),
    }
    assert all(RULES[parse_strategy(text).name].meaning for text in DEFAULT_STRATEGIES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("precentile(95)", "not known. Did you mean 'percentile'? Strategies: percentile(q), mean_std(k), max_normal"),
        ("otsu", "not known. Strategies:"),
        ("", "not known."),
        ("percentile(95", "not known. Did you mean 'percentile'?"),
        (
            "percentile",
            "lacks its argument: q must be a finite number, at least 0 and at most 100. Write percentile(q)",
        ),
        ("percentile()", "lacks its argument"),
        ("min_anomaly()", "lacks its argument: offset must be a finite number. Write min_anomaly(offset)"),
        ("percentile(101)", "at least 0 and at most 100; got 101"),
        ("percentile(nan)", "finite number"),
        ("mean_std(-1)", "k must be a finite number, at least 0; got -1"),
        ("mean_std(inf)", "finite number"),
        ("tpr_at_least(0)", "t must be a finite number, above 0 and at most 1; got 0"),
        ("percentile(high)", "got 'high'"),
        ("percentile(1, 2)", "got '1, 2'"),
        ("youden(3)", "youden takes no argument. Write youden."),
        ("max_normal()", "max_normal takes no argument"),
    ],
)
def test_a_strategy_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        parse_strategy(text)


def test_those_that_need_anomalies_are_dropped_where_there_are_none() -> None:
    texts = ["youden", "mean_std(3)", "min_anomaly", "percentile(99)"]
    assert [strategy.text for strategy in usable(texts, has_anomalies=False)] == ["mean_std(3)", "percentile(99)"]
    assert [strategy.text for strategy in usable(texts, has_anomalies=True)] == texts


def overlapping(normals: int = 120, anomalies: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1], [normals, anomalies])
    return np.random.default_rng(seed).normal(labels * 1.5), labels


def test_the_winner_is_fitted_to_all_of_validation() -> None:
    scores, labels = overlapping()
    choice = choose(scores, labels, DEFAULT_STRATEGIES)
    assert choice.value == parse_strategy(choice.strategy).fit(scores, labels)
    assert choice.metrics == at_threshold(scores, labels, choice.value)
    assert choice.compared[choice.strategy] == max(choice.compared.values())
    assert (list(choice.compared), choice.folds) == (list(DEFAULT_STRATEGIES), 5)
    assert all(type(value) is float for value in (choice.value, *choice.metrics.values(), *choice.compared.values()))
    assert choose(scores, labels, DEFAULT_STRATEGIES) == choice
    assert choose(scores, labels, DEFAULT_STRATEGIES, seed=1).compared != choice.compared


def test_fitting_the_labels_gains_nothing_by_judging_itself() -> None:
    """On scores that say nothing, youden looks better than chance in-sample, and must not when cross-fitted."""
    inside, crossed = [], []
    for seed in range(30):
        labels = np.repeat([0, 1], [40, 40])
        scores = np.random.default_rng(seed).normal(size=80)
        choice = choose(scores, labels, ["youden"])
        inside.append(choice.metrics["balanced_accuracy"])
        crossed.append(choice.compared["youden"])
    assert np.mean(inside) > 0.56
    assert np.mean(crossed) < 0.53


def test_cross_fitting_judges_each_score_by_a_threshold_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = overlapping(20, 7)
    fitted: list[tuple[list[float], list[float]]] = []
    value = Strategy._value

    def spy(self: Strategy, normal: np.ndarray, anomalous: np.ndarray) -> float:
        fitted.append((normal.tolist(), anomalous.tolist()))
        return value(self, normal, anomalous)

    monkeypatch.setattr(Strategy, "_value", spy)
    choice = choose(scores, labels, ["youden"])
    *folds, last = fitted
    assert last == (scores[labels == 0].tolist(), scores[labels == 1].tolist())
    assert len(folds) == 5 * choice.folds == 25
    for start in range(0, 25, 5):
        for part, every in zip(zip(*folds[start : start + 5], strict=True), last, strict=True):
            left = [set(every) - set(used) for used in part]
            assert sorted(score for held in left for score in held) == sorted(every)  # each is held out once
            assert max(map(len, left)) - min(map(len, left)) <= 1


def test_equals_go_to_the_first() -> None:
    scores, labels = np.array([1.0, 2.0, 3.0, 7.0, 8.0, 9.0]), np.repeat([0, 1], 3)
    for texts in (["midpoint_of_means", "youden"], ["youden", "midpoint_of_means"]):
        choice = choose(scores, labels, texts)
        assert (choice.strategy, choice.compared) == (texts[0], dict.fromkeys(texts, 1.0))


def test_the_metric_decides() -> None:
    scores, labels = overlapping(400, 12)
    winners = {metric: choose(scores, labels, metric=metric).strategy for metric in ("tpr", "tnr", "f1")}
    assert (winners["tpr"], winners["tnr"]) == ("min_anomaly", "max_anomaly")
    with pytest.raises(ValueError, match="chosen by one of balanced_accuracy, f1, tpr, tnr; got 'roc_auc'"):
        choose(scores, labels, metric="roc_auc")


def test_with_normals_only_the_first_that_can_be_used_is_taken() -> None:
    labels = np.zeros(5, dtype=np.int64)
    choice = choose(NORMAL, labels)
    assert (choice.strategy, choice.value) == ("percentile(95)", np.percentile(NORMAL, 95))
    assert (choice.metrics, choice.compared, choice.folds) == ({"tnr": 0.8}, {}, 0)
    assert choose(NORMAL, labels, ["youden", "max_normal", "percentile(95)"]).strategy == "max_normal"
    with pytest.raises(
        InputError, match=r"youden, min_anomaly: none can be used.*normals only. Add one of: percentile"
    ):
        choose(NORMAL, labels, ["youden", "min_anomaly"])
    with pytest.raises(InputError, match=r"\(none\): none can be used"):
        choose(NORMAL, labels, [])


@pytest.mark.parametrize(("anomalies", "folds"), [(1, 0), (2, 2), (4, 4), (9, 5)])
def test_few_anomalies_make_fewer_folds(anomalies: int, folds: int) -> None:
    scores, labels = overlapping(30, anomalies)
    choice = choose(scores, labels)
    assert choice.folds == folds
    if not folds:
        assert (
            choice.compared["youden"]
            == at_threshold(scores, labels, fit("youden", scores, labels))["balanced_accuracy"]
        )


def test_anomalies_alone_have_no_threshold() -> None:
    with pytest.raises(ValueError, match="anomalies only"):
        choose(ANOMALOUS, np.ones(4, dtype=np.int64))


def test_patches_of_one_picture_stay_in_one_fold() -> None:
    """Copies of a score in another fold would tell a threshold what it is judged on."""
    labels = np.repeat([0, 1], [15, 15])
    whole, apart = [], []
    for seed in range(20):
        scores = np.random.default_rng(seed).normal(size=30)
        copied, of_copies = np.repeat(scores, 6), np.repeat(labels, 6)
        apart.append(choose(copied, of_copies, ["youden"]).compared["youden"])
        whole.append(choose(copied, of_copies, ["youden"], groups=np.repeat(np.arange(30), 6)).compared["youden"])
    assert np.mean(apart) > 0.55
    assert np.mean(whole) < 0.52


def test_groups_that_leave_nothing_to_fit_to_are_judged_in_sample() -> None:
    scores, labels = overlapping(10, 10)
    one_picture = choose(scores, labels, ["youden", "max_normal"], groups=np.repeat([0, 1], 10))
    assert one_picture.folds == 0
    assert set(one_picture.compared) == {"youden", "max_normal"}


def _shift(by: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda scores: scores + by


@pytest.mark.parametrize("change", [_shift(5.0), lambda scores: scores * 1e-6])
def test_the_choice_does_not_hang_on_the_scale(change: Callable[[np.ndarray], np.ndarray]) -> None:
    scores, labels = overlapping()
    assert choose(change(scores), labels).compared == pytest.approx(choose(scores, labels).compared)

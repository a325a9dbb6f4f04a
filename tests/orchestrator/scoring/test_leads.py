"""The largest lead of many trials over a reference: chance is taken for chance, and a real lead is found."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from orchestrator.scoring.bootstrap import resample_detection
from orchestrator.scoring.leads import Lead, largest_lead

DRAWS = 600


def lead(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, sign: int = 1) -> Lead:
    """Of trials with these scores (T, N) over the first of them, in ROC-AUC."""
    groups = np.arange(len(labels)) if groups is None else groups
    resampled = resample_detection(scores, labels, groups, None, draws=DRAWS)["roc_auc"]
    figures = np.array([roc_auc_score(labels, one) for one in scores])
    return largest_lead(figures, resampled, 0, sign, 1 / len(labels))


def pictures(random: np.random.Generator, trials: int, better: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Trials that see the same with noise of their own; the last sees anomalies `better`."""
    labels = np.repeat([0, 1], [160, 80])
    seen = labels + random.normal(0, 1, len(labels))
    scores = seen + random.normal(0, 0.7, (trials, len(labels)))
    scores[-1] += better * labels
    return scores, labels


def test_the_best_of_many_that_are_no_better_is_seldom_taken_for_better() -> None:
    random = np.random.default_rng(0)
    found = [lead(*pictures(random, 12)) for _ in range(40)]
    p = np.array([1.0 if one.p is None else one.p for one in found])
    alone = np.array([0.0 if one.error is None else one.value / one.error for one in found])
    assert (alone > 1.645).mean() > 0.2, "a test that forgets how many there were is fooled often"
    assert (p < 0.05).mean() <= 0.1
    assert p.max() > 0.3


def test_a_real_lead_is_found_whichever_way_is_better() -> None:
    scores, labels = pictures(np.random.default_rng(1), 12, better=1.5)
    found = lead(scores, labels)
    assert found.p is not None
    assert found.p < 0.01
    assert found.why == ""
    assert found.value == pytest.approx(roc_auc_score(labels, scores[-1]) - roc_auc_score(labels, scores[0]))
    below = lead(-scores, labels, sign=-1)
    assert below.value == pytest.approx(found.value)
    assert below.p == pytest.approx(found.p, abs=0.01)


def test_trials_that_answer_alike_count_as_one() -> None:
    scores, labels = pictures(np.random.default_rng(4), 2, better=0.3)
    one = lead(scores, labels)
    many = lead(np.concatenate([scores[:1], np.repeat(scores[1:], 15, axis=0)]), labels)
    assert one.p is not None
    assert 0.001 < one.p < 0.2
    assert many == one


def test_patches_of_one_source_are_no_evidence_of_their_own() -> None:
    scores, labels = pictures(np.random.default_rng(4), 2, better=0.4)
    alone = lead(scores, labels)
    copied, sources = np.repeat(scores, 4, axis=1), np.repeat(np.arange(len(labels)), 4)
    together = lead(copied, np.repeat(labels, 4), sources)
    each = lead(copied, np.repeat(labels, 4))
    assert alone.p is not None
    assert each.p is not None
    assert together.p == pytest.approx(alone.p, abs=0.01)
    assert each.p < alone.p


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        (np.repeat(np.arange(8), 30), "come from 8 source pictures, too few"),
        (np.concatenate([np.arange(160), np.repeat(160, 80)]), "a class of the validation part has one source"),
    ],
)
def test_with_too_few_sources_there_is_no_test(sources: np.ndarray, why: str) -> None:
    found = lead(*pictures(np.random.default_rng(1), 3, better=1.5), sources)
    assert found.p is None
    assert why in found.why
    assert found.value > 0


def test_nothing_is_tested_where_the_reference_is_the_best_or_its_equal() -> None:
    scores, labels = pictures(np.random.default_rng(1), 3, better=1.5)
    for others in (scores[::-1], scores[[2, 2, 0]]):
        found = lead(others, labels)
        assert (found.value, found.p) == (0.0, None)
        assert "no trial has a better figure" in found.why

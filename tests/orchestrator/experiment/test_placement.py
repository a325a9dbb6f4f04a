"""Where trainings run: what an experiment says, what there is, what the run has done before."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator import Experiment, InputError
from orchestrator.experiment.placement import Before, Placement, asking, check_asked, fits, place, place_all, told
from orchestrator.families import FAMILIES
from orchestrator.machine.offered import AHEAD, ROOM, Card, Offered, Room

CARD = Card("H100", 80 * 2**30, 79 * 2**30)
LAPTOP, NODE = Offered(8), Offered(16, 1, (CARD,))


def experiment(families: Any = ("pca", "vae"), budget: dict[str, Any] | None = None, **resources: Any) -> Experiment:
    values = {"data": {"path": "."}, "families": list(families), "budget": budget or {}, "resources": resources}
    return Experiment.from_mapping(values)


def where(one: Placement) -> tuple[str, float, float, int]:
    return one.device, one.cpus, one.gpus, one.at_once


@pytest.mark.parametrize(
    ("resources", "offered", "family", "expected"),
    [
        ({}, LAPTOP, "vae", ("cpu", 1, 0, 8)),
        ({}, NODE, "vae", ("cuda", 1, 1, 1)),
        ({}, NODE, "pca", ("cpu", 1, 0, 16)),
        ({}, NODE, "pca_logistic", ("cpu", 1, 0, 16)),
        ({}, Offered(16, 4), "vae", ("cuda", 1, 1, 4)),
        ({"gpus": "auto", "cpus": "auto"}, NODE, "vae", ("cuda", 1, 1, 1)),
        ({"cpus": 4}, NODE, "vae", ("cuda", 4, 1, 1)),
        ({"cpus": 4}, NODE, "pca", ("cpu", 4, 0, 4)),
        ({"gpus": 0}, NODE, "vae", ("cpu", 1, 0, 16)),
        ({"gpus": 0.25}, NODE, "vae", ("cuda", 1, 0.25, 4)),
        ({"gpus": 1}, NODE, "pca", ("cuda", 1, 1, 1)),
        ({"gpus": 2}, Offered(16, 4), "vae", ("cuda", 1, 2, 2)),
    ],
)
def test_what_is_said_wins_and_the_rest_follows_from_the_machine_and_the_family(
    resources: dict[str, Any], offered: Offered, family: str, expected: tuple[str, float, float, int]
) -> None:
    assert where(place(experiment(**resources), family, offered)) == expected


def test_only_the_two_families_of_principal_components_gain_nothing_by_a_gpu() -> None:
    assert {name for name, row in FAMILIES.items() if not row.family.gpu} == {"pca", "pca_logistic"}


@pytest.mark.parametrize(
    ("budget", "cpus", "expected"),
    [
        ({"trials": 20}, 8, (1, 8)),
        ({"trials": 20}, 64, (3, 21)),
        ({"trials": 1}, 16, (3, 5)),  # five seeds are trained, too
        ({"trials": 20, "concurrent": 2}, 8, (4, 2)),
        ({"trials": 20, "concurrent": 3}, 8, (2, 3)),
        ({"trials": 2}, 2, (1, 2)),
    ],
)
def test_trials_beside_each_other_fill_the_machine(
    budget: dict[str, Any], cpus: int, expected: tuple[int, int]
) -> None:
    one = place(experiment(budget=budget), "vae", Offered(cpus))
    assert (one.cpus, one.at_once) == expected
    assert one.cpus * one.at_once <= cpus


def test_a_training_of_a_cluster_never_asks_for_more_cpus_than_a_node_need_have() -> None:
    assert where(place(experiment(budget={"trials": 2}), "vae", Offered(64, elsewhere=True))) == ("cpu", 1, 0, 64)


@pytest.mark.parametrize(("free", "device"), [(ROOM, "cuda"), (ROOM - 1, "cpu")])
def test_a_gpu_that_others_hold_is_left_alone_unless_asked_for(free: int, device: str) -> None:
    held = Offered(16, 1, (Card("H100", 80 * 2**30, free),))
    one = place(experiment(), "vae", held)
    assert one.device == device
    assert "2.0 of 80.0 GiB free" in one.why
    assert place(experiment(gpus=1), "vae", held).device == "cuda"


def test_one_gpu_with_room_is_enough() -> None:
    assert place(experiment(), "vae", Offered(16, 2, (Card("a", 2**36, 0), CARD))).device == "cuda"


@pytest.mark.parametrize(
    ("before", "offered", "expected"),
    [
        ({"vae": ("cpu", 2.0)}, NODE, ("cpu", 2, 0, 8)),  # begun where there was no GPU
        ({"conv_autoencoder": ("cpu", 2.0)}, NODE, ("cpu", 1, 0, 16)),  # the same table
        ({"pca": ("cpu", 2.0)}, NODE, ("cuda", 1, 1, 1)),  # which says nothing of others
        ({"vae": ("cuda", 2.0)}, NODE, ("cuda", 2, 1, 1)),
        ({"vae": ("cpu", 16.0)}, LAPTOP, ("cpu", 8, 0, 1)),
    ],
)
def test_a_resume_goes_on_as_the_run_began(
    before: Before, offered: Offered, expected: tuple[str, float, float, int]
) -> None:
    one = place(experiment(("pca", "vae", "conv_autoencoder")), "vae", offered, before)
    assert where(one) == expected


def test_a_run_that_used_a_gpu_does_not_go_on_without_one_unasked() -> None:
    with pytest.raises(InputError, match=r"has trained vae on a GPU, and there is none here \(too old\).*gpus=0"):
        place(experiment(), "vae", Offered(8, trouble="too old"), {"vae": ("cuda", 1.0)})
    assert place(experiment(gpus=0), "vae", LAPTOP, {"vae": ("cuda", 1.0)}).device == "cpu"


def test_numbers_of_a_run_that_was_begun_with_them_stay_where_auto_is_asked_for() -> None:
    begun = experiment(cpus=1, gpus=0)  # what versions before `auto` wrote out
    assert asking(experiment(), begun).resources == begun.resources
    assert asking(experiment(cpus=3), begun).resources == experiment(cpus=3, gpus=0).resources
    assert asking(experiment(gpus=1), experiment()).resources == experiment(gpus=1).resources
    assert asking(experiment(), None).resources == experiment().resources
    assert asking(experiment(), begun).fingerprint == experiment().fingerprint == begun.fingerprint


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpus": 2}, "resources.gpus is 2 a trial, and there are 1"),
        ({"cpus": 17}, "resources.cpus is 17 a trial, and there are 16"),
    ],
)
def test_what_can_not_be_had_is_told(resources: dict[str, Any], words: str) -> None:
    for check in (lambda one: check_asked(one, NODE), lambda one: place(one, "vae", NODE)):
        with pytest.raises(InputError, match=words):
            check(experiment(**resources))
    check_asked(experiment(), LAPTOP)


SIXTEEN = Offered(16, 4, (CARD,) * 4)
CLUSTER = Offered(16, elsewhere=True)
NODES = Offered(8, elsewhere=True, rooms=(Room(3), Room(5)))


@pytest.mark.parametrize(
    ("resources", "offered", "expected"),
    [
        ({"workers": 2}, SIXTEEN, ("cuda", 1, 1, 2)),
        ({"workers": 4, "cpus": 4}, SIXTEEN, ("cuda", 4, 1, 1)),
        ({"workers": 2, "gpus": 2}, SIXTEEN, ("cuda", 1, 2, 1)),
        ({"workers": 4}, CLUSTER, ("cpu", 1, 0, 4)),
        ({"workers": 2, "cpus": 3}, CLUSTER, ("cpu", 3, 0, 2)),
        ({"workers": 2, "cpus": 3}, NODES, ("cpu", 3, 0, 1)),
    ],
)
def test_what_a_trial_reserves_is_each_workers(resources: dict[str, Any], offered: Offered, expected: Any) -> None:
    asked = experiment(["vae"], **resources)
    check_asked(asked, offered)
    found = place(asked, "vae", offered)
    assert where(found) == expected
    assert found.parts == [(found.cpus, found.gpus)] * found.workers
    assert fits(found, [found] * (found.at_once - 1), offered, None)
    assert not fits(found, [found] * found.at_once, offered, None)
    assert f"at a time over {found.workers} workers with" in told(asked, {"vae": found}, offered)


@pytest.mark.parametrize(
    ("resources", "offered", "words"),
    [
        ({"workers": 2}, LAPTOP, "train on this machine's CPUs: threads of one worker do the same.*resources.cpus=2"),
        ({"workers": 2, "gpus": 0}, SIXTEEN, "train on this machine's CPUs"),
        (
            {"workers": 2},
            NODE,
            r"each with 1 CPU and 1 GPU, and there is room for 1 of them \(16 CPUs and 1 GPUs",
        ),
        ({"workers": 17}, CLUSTER, "each with 1 CPU, and there is room for 16 of them.*would wait for each other"),
        ({"workers": 2, "cpus": 4}, NODES, "each with 4 CPUs, and there is room for 1 of them"),
        ({"workers": 2, "gpus": 0.5}, SIXTEEN, "each worker has GPUs of its own, whole ones"),
    ],
)
def test_workers_that_gain_nothing_or_find_no_place_are_refused(
    resources: dict[str, Any], offered: Offered, words: str
) -> None:
    asked = experiment(["vae"], **resources)
    for check in (lambda: check_asked(asked, offered), lambda: place(asked, "vae", offered)):
        with pytest.raises(InputError, match=words):
            check()


def test_on_cpus_workers_can_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_WORKERS_ON_CPUS", "1")
    assert where(place(experiment(["vae"], workers=2), "vae", LAPTOP)) == ("cpu", 1, 0, 4)


def test_a_family_whose_trainings_can_not_be_shared_is_refused_and_others_named() -> None:
    able = "plot_classifier, vae, conv_autoencoder, vae_transfer, feature_autoencoder"
    with pytest.raises(InputError, match=f"pca does not train by steps that workers can share. Those that do: {able}"):
        place(experiment(workers=2), "pca", SIXTEEN)


@pytest.mark.parametrize("key", ["compile", "cuda_graphs", "fused"])
def test_what_a_shared_training_goes_without_is_not_asked_for(key: str) -> None:
    values = {"data": {"path": "."}, "families": ["vae"], "precision": {key: True}}
    Experiment.from_mapping(values)
    with pytest.raises(InputError, match=f"precision.{key} is true and resources.workers 2"):
        Experiment.from_mapping({**values, "resources": {"workers": 2}})


def test_the_number_of_workers_is_part_of_what_a_run_means_but_of_no_older_one() -> None:
    assert experiment(workers=1).fingerprint == experiment().fingerprint
    assert experiment(workers=2).fingerprint != experiment().fingerprint


def test_cells_of_cpus_and_gpus_run_beside_each_other() -> None:
    cpu, gpu = Placement("cpu", 2, 0, 2), Placement("cuda", 1, 1, 1)
    there = Offered(4, 1)
    assert fits(gpu, [cpu], there, None)
    assert not fits(gpu, [gpu], there, None)
    assert not fits(cpu, [gpu, cpu], there, None)
    assert not fits(cpu, [gpu], there, concurrent=1)
    assert fits(Placement("cpu", 9, 0, 1), [], there, 1)  # alone, what was checked before


def test_one_line_says_what_was_chosen_and_why() -> None:
    def line(offered: Offered, **resources: Any) -> str:
        one = experiment(**resources)
        return told(one, place_all(one, offered, {}), offered)

    assert line(LAPTOP) == "All on CPUs (there is no GPU), 8 at a time with 1 CPU each."
    assert line(NODE) == (
        "pca on CPUs (they gain nothing by a GPU), 16 at a time with 1 CPU each; vae on a GPU (H100, 79.0 of 80.0 GiB "
        "free), 1 at a time with 1 CPU each."
    )
    assert line(NODE, gpus=0).endswith("A GPU stands idle, since resources.gpus is 0.")
    assert "the GPU can't be used: too old" in line(Offered(8, trouble="too old"))
    assert "All on 0.5 of a GPU, 2 at a time" in line(NODE, gpus=0.5)


def test_on_a_cluster_trainings_fit_node_by_node_and_more_wait_where_an_autoscaler_works() -> None:
    small = Offered(6, elsewhere=True, rooms=(Room(2), Room(2), Room(2)))
    one = place(experiment(cpus=2), "pca", small)
    assert one.at_once == 3
    assert place(experiment(cpus=1.5), "pca", small).at_once == 3
    assert fits(one, [one, one], small, None)
    assert not fits(one, [one, one, one], small, None)
    growing = replace(small, growing=True)
    assert fits(one, [one] * (2 + AHEAD), growing, None)
    assert not fits(one, [one] * (3 + AHEAD), growing, None)
    assert not fits(one, [one] * 5, growing, 5)
    assert place(experiment(cpus=4, gpus=1), "vae", growing).at_once == 1
    with pytest.raises(InputError, match="cpus is 8"):
        place(experiment(cpus=8), "pca", small)

"""The machines of a cluster: what a probe sees, what is said of it, and that no machine is waited for long."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.machine import nodes as asking
from orchestrator.machine.node_checks import NEEDED, all_told, check_nodes, unseen
from orchestrator.machine.node_probe import Disk, Graphics, Known, Question, Seen, code_hash, look
from orchestrator.machine.nodes import Node, Nodes, alive_nodes, ask
from orchestrator.machine.offered import Card
from orchestrator.running.joined import choose
from trainables.errors import InputError

ROOT = Path(__file__).parents[3]
PROBE = """
import dataclasses, json, sys, time
from orchestrator.machine.node_probe import Question, look
seen = look(Question(**json.loads(sys.argv[1])))
assert not {"ray", "torch", "pandas", "sklearn"} & set(sys.modules), "a probe imports little"
print(json.dumps(dataclasses.asdict(seen)))
"""


@pytest.fixture(scope="module")
def here() -> Seen:
    return look(Question(packages=NEEDED), "/tmp")


def node(seen: Seen | None, **said: object) -> Node:
    return replace(Node("ab12", "n1", "10.0.0.1", 4, 0, seen), **said)  # type: ignore[arg-type]


def told(seen: Seen | None, here: Seen, **said: object) -> tuple[list[str], list[str]]:
    return all_told(Nodes((node(seen, **said),), here))


def elsewhere(question: dict[str, object], *first: str, **environment: str) -> Seen:
    """What a probe says in another process, whose modules are looked for in the folders `first` before ours."""
    path = os.pathsep.join([*first, str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, json.dumps(question)],
        capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": path} | environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    values = json.loads(ended.stdout)
    for key in ("temporary", "shared_memory", "cache"):
        values[key] = values[key] and Disk(*values[key])
    values["weights"] = tuple(each and Known(*each) for each in values["weights"])
    return Seen(**values | {"gpus": ()})


def test_the_same_machine_has_nothing_to_say(here: Seen) -> None:
    assert set(here.versions) == set(NEEDED)
    roomy = replace(here, memory=2**36, shared_memory=Disk("/dev/shm", 2**34, 2**34), temporary=None)
    assert told(replace(roomy, cpus=4), here) == ([], [])


def test_packages_that_are_missing_or_of_other_versions_are_told(tmp_path: Path, here: Seen) -> None:
    for name, release in (("torch", "2.0.0"), ("numpy", "1.99.0")):
        folder = tmp_path / f"{name}-{release}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n", "utf-8")
    there = elsewhere({"packages": [*NEEDED, "no-such-package"]}, str(tmp_path))
    problems, remarks = told(there, replace(here, versions={**here.versions, "no-such-package": "1.0"}))
    assert any("n1 (10.0.0.1): torch is 2.0.0, and " in line and "constraints.txt" in line for line in problems)
    assert any("no-such-package is not installed there" in line for line in problems)
    assert any("numpy is 1.99.0" in line for line in remarks)
    # the same release, built otherwise
    same = {**here.versions, "torch": f"{here.versions['torch'].split('+')[0]}+cpu"}
    problems, remarks = told(replace(here, versions=same), here)
    assert not any("torch" in line for line in problems)
    assert any("torch is" in line for line in remarks)


def test_other_code_of_ours_is_told(tmp_path: Path, here: Seen) -> None:
    package = tmp_path / "search_spaces"
    package.mkdir()
    (package / "__init__.py").write_text('"""An older one."""\n', encoding="utf-8")
    there = elsewhere({}, str(tmp_path))
    assert there.code not in ("", here.code)
    assert "imports other code of this project" in told(there, here)[0][0]
    assert here.code == code_hash()


def test_python_clock_room_and_cpus_are_told(here: Seen) -> None:
    assert "it has Python 3.1.4" in told(replace(here, python="3.1.4"), here)[0][0]
    assert "3 minutes behind" in told(here, here, ahead=-180.0)[0][0]
    assert "20 s ahead" in told(here, here, ahead=20.0)[1][0]
    tight = Disk("/tmp/ray", 2**40, 2**20)
    assert "1 MiB is free in /tmp/ray" in told(replace(here, temporary=tight), here)[0][0]
    full = Disk("/tmp/ray", 2**40, 2**35)
    assert any("95 % full" in line for line in told(replace(here, temporary=full), here)[1])
    assert "of its /dev/shm is free" in told(replace(here, shared_memory=Disk("/dev/shm", 2**26, 0)), here)[0][0]
    assert any("/dev/shm has only 64 MiB" in each for each in told(_with_shared(here, 2**26), here)[1])
    assert "of memory is free" in told(replace(here, memory=2**28), here)[0][0]
    assert any("Start its Ray with --num-cpus=2." in line for line in told(replace(here, cpus=2), here)[1])


def _with_shared(here: Seen, size: int) -> Seen:
    return replace(here, shared_memory=Disk("/dev/shm", size, size))


def test_a_head_without_cpus_needs_no_packages(here: Seen) -> None:
    bare = replace(here, versions={}, memory=0, shared_memory=None, temporary=None)
    assert told(bare, here, cpus=0.0) == ([], [])
    assert "it has Python 3.1.4" in told(replace(bare, python="3.1.4"), here, cpus=0.0)[0][0]


def test_what_does_not_answer_is_named_and_all_is_said_at_once_by_cause(here: Seen) -> None:
    old = replace(here, versions={**here.versions, "torch": "2.0.0"})
    every = (
        node(None, id="1", name="cut"),
        node(None, id="2", name="broken", failure="No module named 'pip'"),
        *(replace(node(old), id=str(number), name=f"old{number}") for number in range(3, 15)),
    )
    with pytest.raises(InputError) as caught:
        check_nodes(Nodes(every, here))
    lines = str(caught.value).splitlines()
    assert lines[0] == "The cluster can't run this as it is:"
    assert "cut (10.0.0.1): it does not answer" in lines[1]
    assert "broken (10.0.0.1): no worker can start (No module named 'pip')" in lines[2]
    assert lines[3].startswith("  - old3 (10.0.0.1), ")
    assert "and 4 more: torch is 2.0.0" in lines[3]


def test_weights_that_are_not_the_same_everywhere_are_told(tmp_path: Path) -> None:
    """`auto` would start from them on one machine, and from random numbers on another."""
    lacking, other = tmp_path / "lacking", tmp_path / "other"
    for home, content in ((tmp_path / "ours", b"numbers"), (other, b"others"), (lacking, None)):
        (home / "hub" / "checkpoints").mkdir(parents=True)
        if content is not None:
            (home / "hub" / "checkpoints" / "resnet18-1.pth").write_bytes(content)
    asked: dict[str, object] = {"weights": [["resnet18-2.pth", "resnet18-1.pth"], [str(tmp_path / "mine.pth")]]}
    ours = elsewhere(asked, TORCH_HOME=str(tmp_path / "ours"))
    assert ours.weights[1] is None
    assert told(elsewhere(asked, TORCH_HOME=str(tmp_path / "ours")), ours)[0] == []
    assert "it has not the weights resnet18-1.pth" in told(elsewhere(asked, TORCH_HOME=str(lacking)), ours)[0][0]
    assert "resnet18-1.pth are another file" in told(elsewhere(asked, TORCH_HOME=str(other)), ours)[0][0]


def test_folders_are_seen_by_what_lies_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.machine import node_probe

    monkeypatch.setattr(node_probe, "PATIENCE", 0.3)
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text("1\n", encoding="utf-8")
    marker, other, absent, unlike = (str(tmp_path / name) for name in ("marker", "other", "gone/marker", "nothing"))
    Path(marker).write_text("mine", encoding="ascii")
    Path(other).write_text("another's", encoding="ascii")
    files = tuple(str(tmp_path / "data" / name) for name in ("a.csv", "b.csv"))
    here = look(Question(markers=dict.fromkeys((marker, other, absent, unlike), "mine"), files=files))
    assert here.markers == {marker: "same", other: "other", absent: "absent", unlike: "other"}
    places = [(marker, "the run's folder"), (other, "the store"), (absent, "the store")]
    clauses = unseen(node(here), here, places)
    assert [clause.split(" the store")[0] for clause in clauses] == ["sees another folder as", "does not see"]
    blind = replace(here, files=dict.fromkeys(files))
    assert unseen(node(blind), here, places[:1]) == [f"does not see the data ({files[0]} is not there)"]
    (tmp_path / "data" / "b.csv").write_text("2\n", encoding="utf-8")
    assert unseen(node(look(Question(files=files))), here, []) == [
        f"sees another file as {files[1]}, which is of the data"
    ]


@pytest.mark.parametrize("asked", ["auto", "shared", "shipped"])
def test_storage_follows_from_what_every_machine_sees(here: Seen, asked: str) -> None:
    cluster = Nodes((node(here), replace(node(here), id="2", name="n2")), here)
    assert choose(asked, cluster, {})[0] == ("shipped" if asked == "shipped" else "shared")
    blind = {"2": ["does not see the run's folder /runs/1"]}
    if asked == "shared":
        with pytest.raises(InputError, match=r"n2 \(10.0.0.1\) does not see the run's folder /runs/1"):
            choose(asked, cluster, blind)
    else:
        storage, why = choose(asked, cluster, blind)
        assert storage == "shipped"
        assert ("n2" in why) == (asked == "auto")


def test_cards_are_those_of_all_machines(here: Seen) -> None:
    seen = replace(here, gpus=(Graphics("A", 10, 9),))
    cluster = Nodes((node(seen, gpus=1.0), replace(node(seen, gpus=1.0), id="2", address="10.0.0.2")), here)
    assert cluster.cards == (Card("A", 10, 9, "10.0.0.1"), Card("A", 10, 9, "10.0.0.2"))


def test_a_ray_is_asked_and_what_is_gone_is_not_waited_for(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    marker.write_text("mine", encoding="ascii")
    (found,) = alive_nodes()
    asked = ask(Question(packages=("ray",), markers={str(marker): "mine"}), [found, replace(found, id="ab" * 28)])
    (answered,) = asked.every
    assert answered.seen is not None
    assert answered.seen.markers == {str(marker): "same"}
    assert answered.seen.code == asked.here.code
    assert answered.seen.temporary is not None
    assert answered.cpus == 2
    monkeypatch.setattr(asking, "LONGEST", 0.0)
    (late,) = ask(Question()).every
    assert late.seen is None
    assert "it does not answer" in all_told(Nodes((late,), asked.here))[0][0]

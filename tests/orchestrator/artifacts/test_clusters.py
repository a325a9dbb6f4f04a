"""The clusters that a run joined: noted a line each, and told in its report."""

from pathlib import Path

from orchestrator.artifacts.clusters import Joined, Machine, clusters_told, read_joined


def test_what_was_joined_is_told_once_and_what_is_torn_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "clusters.jsonl"
    assert clusters_told(path) == []
    machine = Machine(name="n1", address="10.0.0.1", cpus=4, gpus=0, memory=None)
    shared = Joined(began="2026-01-01T00:00:00+00:00", storage="shared", why="all see it", machines=(machine,))
    shipped = shared.model_copy(update={"storage": "shipped", "why": "n2 sees nothing", "machines": (machine,) * 10})
    for one in (shared, shared, shipped):
        one.note(path)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"format": 1, "beg')
    assert read_joined(path) == [shared, shared, shipped]
    first, second = clusters_told(path)
    assert first == "Worked on a cluster of 1 machine (n1), with storage shared: all see it."
    assert "10 machines (n1, n1, n1, n1, n1, n1, n1, n1 and 2 more), with storage shipped" in second
    shared.note(tmp_path / "gone" / "clusters.jsonl")  # a run does not end for it

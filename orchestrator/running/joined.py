"""What is looked at once a cluster is joined, before any work: its machines, and how files reach them."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.clusters import Joined, Machine, read_joined
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.ablation_checks import every_setting
from orchestrator.experiment.ablation_rows import AskedAblation
from orchestrator.experiment.checks import checked_configs
from orchestrator.experiment.preflight import Settled
from orchestrator.families import family_row
from orchestrator.machine.markers import markers
from orchestrator.machine.node_checks import NEEDED, check_nodes, unseen
from orchestrator.machine.node_probe import Question
from orchestrator.machine.nodes import Nodes, ask
from orchestrator.machine.progress import Reporter
from orchestrator.machine.storage import Storage
from trainables.errors import InputError

SHOWN = 4
"""Machines of which a line says what they don't see."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that can do the work."""

    nodes: Nodes
    storage: Storage
    """How files reach its machines."""


def check_cluster_for(settled: Settled, folder: RunFolder, ablation: bool, reporter: Reporter) -> Cluster:
    """Ask every machine, and choose how files reach them; InputError where the work can't be done so.

    What was found and chosen is said, and noted in the run's folder.
    """
    asked = settled.experiment.resources.storage
    with markers({} if asked == "shipped" else _named(settled, folder)) as places:
        files = settled.some_files if places else ()
        question = Question(
            packages=NEEDED,
            markers={marker: Path(marker).read_text(encoding="ascii") for marker in places},
            files=tuple(str(settled.experiment.data.path / path) for path in files),
            weights=_weights(settled, ablation),
        )
        nodes = ask(question)
    for remark in check_nodes(nodes):
        reporter.say(remark)
    if not nodes.working:
        raise InputError(
            f"The cluster's machines ({', '.join(node.label for node in nodes.every)}) have neither CPUs nor GPUs for "
            "work. Join nodes to it, or start its head without --num-cpus=0."
        )
    seen = [(node, unseen(node, nodes.here, list(places.items()))) for node in nodes.working]
    blind = {node.id: told for node, told in seen if told}
    storage, why = choose(asked, nodes, blind)
    before = read_joined(folder.clusters)
    changed = f" Before, it was {before[-1].storage}." if before and before[-1].storage != storage else ""
    reporter.say(f"Storage is {storage}: {why}.{changed}")
    _noted(nodes, blind, storage, why).note(folder.clusters)
    return Cluster(nodes, storage)


def choose(asked: str, nodes: Nodes, blind: dict[str, list[str]]) -> tuple[Storage, str]:
    """How files reach the machines, and why; InputError where that is asked for and can't be. `blind`: what a machine,
    by its id, does not see as the driver does."""
    many = len(nodes.working)
    if asked == "shipped":
        return "shipped", "as resources.storage asks for; pictures, states and models travel by Ray"
    if not blind:
        every = f"all {many} machines see" if many > 1 else "the one machine sees"
        return "shared", f"{every} the run's folder, the data and the store as this one does"
    told = [f"{node.label} {' and '.join(blind[node.id])}" for node in nodes.working if node.id in blind]
    if asked == "shared":
        listed = "\n".join(f"  - {line}" for line in told)
        raise InputError(
            "resources.storage is shared, and not every machine sees what this one does:\n"
            f"{listed}\nMount the same folders there, to the same paths, or set resources.storage=auto or shipped: "
            "files then travel by Ray."
        )
    more = f"; so it is with {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return "shipped", f"{'; '.join(told[:SHOWN])}{more}. Pictures, states and models travel by Ray"


def _named(settled: Settled, folder: RunFolder) -> dict[Path, str]:
    """The folders that a run writes to, and what each is called."""
    store = settled.experiment.data.store
    return {folder.whole: "the run's folder"} | ({} if store is None else {store.absolute(): "the store"})


def _weights(settled: Settled, ablation: bool) -> tuple[tuple[str, ...], ...]:
    """The files that may hold the weights of each backbone that is asked for. Of families of one's own, too, where
    their keys have the usual names."""
    from trainables.parts.pretrained import where_weights_lie

    experiment = settled.experiment
    configs = [(one.family, config) for one in experiment.families for config in checked_configs(one)]
    if ablation:
        every = every_setting(AskedAblation.of(experiment), settled.goal)
        configs += [(one.family, one.config) for one in every]
    found = []
    for family, config in configs:
        whole = family_row(family).config(**config)
        backbone, weights = getattr(whole, "backbone", None), getattr(whole, "weights", None)
        if isinstance(backbone, str) and isinstance(weights, str):
            found.append(where_weights_lie(backbone, weights))
    return tuple(dict.fromkeys(paths for paths in found if paths))


def _noted(nodes: Nodes, blind: dict[str, list[str]], storage: Storage, why: str) -> Joined:
    machines = tuple(
        Machine(
            name=node.name,
            address=node.address,
            cpus=node.cpus,
            gpus=node.gpus,
            memory=None if node.seen is None else node.seen.memory,
            cards=() if node.seen is None else tuple(card.name for card in node.seen.gpus),
            unseen=tuple(blind.get(node.id, ())),
        )
        for node in nodes.every
    )
    return Joined(began=now(), storage=storage, why=why, machines=machines)

"""What the nodes of a cluster have that are alive at this moment; and what is waited for where none has enough."""

import json
import time
from contextlib import suppress

from orchestrator.machine.nodes import alive_nodes
from orchestrator.machine.offered import Offered, Room

FRESH = 2.0
"""Seconds for which what is known of the nodes is not asked again."""
UNNAMED = "node_"
"""How the type of a node begins that was started by hand: an autoscaler's have the names of its own file."""


class Alive:
    """What there is on the nodes of the Ray that runs, asked anew where that is some seconds old."""

    def __init__(self) -> None:
        self._asked = -FRESH
        self._found = Offered(0.0)
        self._growing: bool | None = None

    def now(self) -> Offered:
        """In all, and on each node."""
        if time.monotonic() - self._asked >= FRESH:
            self._found, self._asked = self._ask(), time.monotonic()
        return self._found

    def _ask(self) -> Offered:
        rooms = tuple(Room(node.cpus, node.gpus, node.address) for node in alive_nodes())
        if self._growing is None:
            self._growing = _grows()
        cpus, gpus = sum(one.cpus for one in rooms), sum(one.gpus for one in rooms)
        return Offered(cpus, gpus, elsewhere=True, rooms=rooms, growing=bool(self._growing))


def _grows() -> bool | None:
    """Whether the cluster has an autoscaler that can bring nodes, which does not change while it stands; None: it has
    not told yet."""
    from ray._private import worker
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    with suppress(Exception):  # what is no part of Ray's public face may change: then none is known of
        client = worker.global_worker.gcs_client  # type: ignore[attr-defined]
        if is_autoscaler_v2(fetch_from_server=True, gcs_client=client):
            return True  # who starts no autoscaler does not ask for its second version
        told = json.loads(client.internal_kv_get(DEBUG_AUTOSCALING_STATUS.encode(), namespace=None) or b"{}")
        kinds = told.get("autoscaler_report", {}).get("node_type_mapping", {}).values()
        return any(not kind.startswith(UNNAMED) for kind in kinds) if kinds else None
    return None


def lacking(offered: Offered, cpus: float, gpus: float, workers: int = 1) -> str:
    """What is waited for where no node that is alive has room for one training, or not all for its workers; empty:
    there is room."""
    room = offered.places(cpus, gpus)
    if room >= workers:
        return ""
    parts = [f"{cpus:g} CPU{'s' * (cpus != 1)}"] * bool(cpus) + [f"{gpus:g} GPU{'s' * (gpus != 1)}"] * bool(gpus)
    who = "the autoscaler is to bring one" if offered.growing else "no autoscaler is at work, so one must be started"
    what = " and ".join(parts)
    if room:
        return (
            f"waits for room for {workers} workers with {what} each, and there is room for {room}. Ctrl-C ends the "
            "run; --resume goes on"
        )
    return (
        f"waits for a node with {what}: none that is alive has them, and {who}. Ctrl-C ends the run; --resume goes on"
    )

"""The loss of a node is counted apart from the death of a worker."""

from orchestrator.machine.lives import NODES_LOST, Lives, lost_node

NODE = "The actor died because its node has died. Node Id: 1f\n\tthe actor's node was terminated: no heartbeat"
WORKER = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"


def test_a_lost_node_uses_up_no_retry_and_yet_is_not_tried_for_ever() -> None:
    assert lost_node(NODE)
    assert not lost_node(WORKER)
    lives = Lives(2)
    assert all(lives.again(each) for each in [WORKER, *[NODE] * NODES_LOST, WORKER])
    assert not lives.again(WORKER)
    assert not lives.again(NODE)

"""How often what ran on a worker is tried again: its worker's deaths count, those of whole nodes hardly."""

from ray.exceptions import ActorDiedError, ActorUnavailableError

NODES_LOST = 10
"""How many nodes may be lost under one piece of work: more look as if it were the work that ends them."""
NODE_DIED = "its node has died"
"""What Ray says of a worker whose node it has given up."""


def lost_node(error: BaseException | str) -> bool:
    """Whether what was running ended with its node, or with the way to it, and not by itself."""
    return isinstance(error, ActorUnavailableError) or NODE_DIED in str(error)


class Lives:
    """What is left of the tries of one piece of work."""

    def __init__(self, retries: int) -> None:
        """`retries`: how often it is tried again where its worker alone has died."""
        self._workers, self._nodes = retries, NODES_LOST

    def again(self, error: BaseException | str) -> bool:
        """Whether it is tried once more after this death of a worker, which is counted."""
        if isinstance(error, ActorDiedError) and error.actor_init_failed:
            return False
        if lost_node(error):
            self._nodes -= 1
            return self._nodes >= 0
        self._workers -= 1
        return self._workers >= 0

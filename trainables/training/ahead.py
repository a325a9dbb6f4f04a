"""Work done ahead of whoever wants it, by a thread of its own that ends with the wish."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


class _Ended(NamedTuple):
    """The last that a thread hands over: what ended it, where that is an error."""

    error: BaseException | None


def made_ahead(make: Callable[[Item], Made], items: Iterable[Item], depth: int) -> Iterator[Made]:
    """`make` of each item, in order. Up to `depth` (at least 1) lie ready, while one more is being made.

    What `make` raises is raised here, in its turn. When this generator ends, closed early or not, so has the thread.
    """
    ready: Queue[Made | _Ended] = Queue(depth)
    unwanted = threading.Event()

    def work() -> None:
        error = None
        try:
            for item in items:
                ready.put(make(item))
                if unwanted.is_set():
                    return
        except BaseException as raised:  # whatever it is, it is for the one who waits for it
            error = raised
        ready.put(_Ended(error))

    thread = threading.Thread(target=work, name="made ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(made := ready.get(), _Ended):
            yield made
        if made.error is not None:
            raise made.error
    finally:
        unwanted.set()
        # A full queue holds the thread up: emptied once, it takes the one thing that may still come.
        with suppress(Empty):
            while True:
                ready.get_nowait()
        thread.join()

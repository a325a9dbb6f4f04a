"""The end of a training that hangs."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trainables.small_files import NamedFile

HUNG = 75
"""The exit status of a worker that ended itself because no epoch came."""


class Hung(Exception):
    """No epoch came within the limit."""


@contextmanager
def watched(mark: NamedFile | None, seconds: float | None) -> Iterator[threading.Event]:
    """End this process where the event is not set again within `seconds`: nothing else ends a computation that hangs.

    It leaves `mark`; who finds it, raises Hung instead of trying the same again.
    """
    alive, over = threading.Event(), threading.Event()
    if mark is None or seconds is None:
        yield alive
        return
    if mark.exists():
        mark.remove()
        raise Hung(f"no epoch came within {seconds:g} s. Raise budget.epoch_minutes if that is too short.")

    def watch() -> None:
        while not over.is_set():
            if alive.wait(seconds):
                alive.clear()
            elif not over.is_set():
                try:
                    mark.write(wait=False)
                finally:
                    os._exit(HUNG)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield alive
    finally:
        over.set()
        alive.set()

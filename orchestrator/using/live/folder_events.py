"""What the kernel tells of a folder: which files below it are made, written, closed, or moved into place."""

import logging
import os
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

# What it says as it stops, or where events were lost, is no news: the folder is looked over anyway.
logging.getLogger("watchdog").addHandler(logging.NullHandler())
KINDS: dict[type[FileSystemEvent], Literal["folder", "made", "written", "closed", "moved"]] = {
    DirCreatedEvent: "folder",
    DirMovedEvent: "folder",
    FileCreatedEvent: "made",
    FileModifiedEvent: "written",
    FileClosedEvent: "closed",
    FileMovedEvent: "moved",
}


class FolderEvent(NamedTuple):
    """One thing that happened."""

    kind: Literal["folder", "made", "written", "closed", "moved"]
    path: str
    """Where the file or folder lies now."""


class FolderEvents(FileSystemEventHandler):
    """Listens to a folder and all below it, but not to where links lead."""

    def __init__(self, root: Path) -> None:
        """Raises OSError where the system has no room for another listener, or no such thing."""
        try:
            from watchdog.observers.inotify import InotifyObserver
        except Exception as error:  # whatever it raises where there is no inotify
            raise OSError(f"no inotify: {error}") from None
        self._root, self._told = root, SimpleQueue[FolderEvent]()
        self._observer = InotifyObserver(generate_full_events=True)
        try:
            self._emitter = self._observer.schedule(self, str(root), recursive=True, event_filter=list(KINDS))
            self._observer.start()
        except BaseException:
            self._observer.on_thread_stop()
            raise

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread."""
        kind = KINDS.get(type(event))
        path = os.fsdecode(event.dest_path or event.src_path) if kind == "moved" else os.fsdecode(event.src_path)
        if kind == "moved" and not event.dest_path:
            return  # out of the folder
        if kind is not None:
            self._told.put(FolderEvent(kind, path))

    def next(self, seconds: float) -> FolderEvent | None:
        """The next event, waited for so long."""
        try:
            return self._told.get(timeout=seconds) if seconds > 0 else self._told.get_nowait()
        except Empty:
            return None

    @property
    def whole(self) -> bool:
        """Whether every folder is listened to: those that no room is left for are passed over in silence."""
        return _listened() >= sum(1 for _ in os.walk(self._root))

    def stop(self) -> None:
        """Listen no more."""
        self._observer.stop()
        self._observer.join()


def _listened() -> int:
    """How many folders this process listens to."""
    count = 0
    for path in Path("/proc/self/fdinfo").iterdir():
        try:
            text = path.read_text(encoding="ascii", errors="replace")
        except OSError:  # closed since
            continue
        count += text.count("\ninotify wd:")
    return count

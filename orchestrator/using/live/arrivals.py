"""The files of a folder, each once it is complete: those that lie there first, the oldest first, then as they come."""

import heapq
import os
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple

from orchestrator.data.layouts.depth_folders import DEPTH_FOLDERS
from orchestrator.data.layouts.listing import Layout, without_suffix
from orchestrator.data.layouts.walking import is_system_folder, walk
from orchestrator.machine.mounts import network_type
from orchestrator.using.live.folder_events import FolderEvent, FolderEvents

POLL = 2.0
"""Seconds from one look over the folder to the next where the kernel tells nothing."""
RESCAN = 30.0
"""The same where it does, for what it does not tell: where links lead, and what was lost."""
SHARE = 20
"""A look takes this part of the time at most."""
PRESENT = 1.0
"""Seconds from one look to the next at whether the folder is there at all."""
OPEN_AT_MOST = 60.0
"""Seconds after which a file that is held open, and not written to, counts as complete."""
PARTIAL = re.compile(r"^~|\.(part|partial|tmp|crdownload|filepart)$|~$", re.IGNORECASE)
"""Names, without the suffix, of what is being written or downloaded; a suffix after all, as in x.csv.part, is no
suffix of pictures or series."""


class Stamp(NamedTuple):
    """By what a file is known to be the same."""

    size: int
    mtime_ns: int


class Arrived(NamedTuple):
    """A file that is complete."""

    path: str
    """Relative to the folder."""
    stamp: Stamp


@dataclass
class _Seen:
    """A file that has no result as it is now."""

    stamp: Stamp
    since: float
    """The moment, by the monotonic clock, since which it is as it is."""
    state: Literal["waiting", "ready", "out"] = "waiting"
    """Whether it waits to be complete, is complete, or was handed out."""
    open: bool = False
    """Whether somebody writes it, and has not closed it."""
    at_once: bool = False
    """Whether it was moved into place, which nothing incomplete is."""
    not_before: float = 0.0
    """The moment of another try."""
    looked_at: float = inf
    """The moment at which it is looked at next."""

    def due(self, settle: float) -> float:
        """The moment at which it counts as complete, if nothing happens to it."""
        quiet = max(OPEN_AT_MOST, 10 * settle) if self.open else 0 if self.at_once else settle
        return max(self.since + quiet, self.not_before)


class Arrivals:
    """Finds the files of one layout below a folder, however deep, that have no result yet."""

    def __init__(
        self,
        root: Path,
        layout: Layout,
        known: Callable[[str, Stamp], bool],
        say: Callable[[str], object],
        *,
        settle: float,
        poll: float | None = None,
        once: bool = False,
    ) -> None:
        """`known`: whether a file, by its path below the folder, has a result as it is. `settle`: the seconds for which
        it must be unchanged. `poll`: the seconds from look to look; None: the kernel tells, where it can. `once`: what
        comes later is left alone."""
        self._root, self._layout, self._known, self._say = root, layout, known, say
        self._settle, self._once = settle, once
        self._seen: dict[str, _Seen] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._ready: deque[str] = deque()
        self._place: tuple[int, int] | None = None
        """Device and inode of the folder; None: it is not there."""
        self._events: FolderEvents | None = None
        self._poll = poll
        self._trusts_times = not network_type(root)  # another machine's clock may be another
        self._next_scan, self._next_presence = 0.0, 0.0
        self._told_partial = False
        self._short = False
        """Whether some folder was not listened to at the last look: it may have been made just then."""
        if poll is None and not once:
            self._listen()
        self._presence(time.monotonic(), first=True)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, as far as can be seen."""
        return not self._seen and self._place is not None

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def way(self) -> str:
        """How new files are found, in words."""
        return "as they come" if self._poll is None else f"by a look every {self._poll:g} s"

    def take(self, most: int, wait: float) -> list[Arrived]:
        """The next complete files, `most` of them at most; where there is none, one is waited for, so many seconds."""
        ends = time.monotonic() + wait
        while True:
            self._look()
            now = time.monotonic()
            if self._ready or now >= ends or (self._once and self.idle):
                break
            due = self._waiting[0][0] if self._waiting else ends
            self._pause(max(0.005, min(ends, due, self._next_presence, self._next_scan) - now))
        taken: list[Arrived] = []
        while self._ready and len(taken) < most:
            path = self._ready.popleft()
            seen = self._seen[path]
            if seen.due(self._settle) > now:  # something happened to it since
                self._wait(path, seen)
                continue
            seen.state = "out"
            taken.append(Arrived(path, seen.stamp))
        return taken

    def done(self, path: str) -> None:
        """A file that was taken has its result, or is gone."""
        del self._seen[path]
        self._note(path, time.monotonic())  # what it became meanwhile

    def again(self, path: str, seconds: float = 0.0) -> None:
        """A file that was taken is to be tried once more, not before so many seconds."""
        seen, now = self._seen[path], time.monotonic()
        seen.since, seen.not_before, seen.at_once = now, now + seconds, False
        self._wait(path, seen)

    def stop(self) -> None:
        """Listen no more."""
        if self._events is not None:
            self._events.stop()
            self._events = None

    def stamp(self, path: str) -> Stamp | None:
        """How a file is now; None where it is not there."""
        try:
            status = os.stat(f"{self._root}/{path}")  # noqa: PTH116 - a Path costs more than the call
        except OSError:
            return None
        return Stamp(status.st_size, status.st_mtime_ns)

    def _listen(self) -> None:
        """Have the kernel tell what comes; where it can't, look."""
        kind = network_type(self._root)
        try:
            if kind:
                raise OSError(f"it lies on a file system ({kind}) that others may write to, too")
            self._events = FolderEvents(self._root)
        except OSError as error:
            self._poll_because(str(error.strerror or error))

    def _poll_because(self, reason: str) -> None:
        self.stop()
        self._poll = POLL
        for path, seen in self._seen.items():  # nobody will tell that they were closed
            if seen.open:
                seen.open = False
                if seen.state == "waiting":
                    self._wait(path, seen)
        self._say(f"The folder is looked over every {POLL:g} s: {reason}.")

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_presence:
            self._presence(now)
        if self._place is None:
            return
        while self._events is not None and (event := self._events.next(0)) is not None:
            self._take_in(event, now)
        if now >= self._next_scan:
            self._scan(now)
        while self._waiting and self._waiting[0][0] <= now:
            moment, _, path = heapq.heappop(self._waiting)
            seen = self._seen.get(path)
            if seen is not None and seen.state == "waiting" and seen.looked_at == moment:
                self._settled(path, seen, now)

    def _pause(self, seconds: float) -> None:
        if self._events is None:
            time.sleep(seconds)
        elif (event := self._events.next(seconds)) is not None:
            self._take_in(event, time.monotonic())

    def _presence(self, now: float, first: bool = False) -> None:
        """Whether the folder is there, and still the same one: it may be a disk that is unmounted and comes back."""
        self._next_presence = now + PRESENT
        try:
            status = self._root.stat()
            place = (status.st_dev, status.st_ino)
        except OSError:
            place = None
        if place == self._place:
            return
        before, self._place = self._place, place
        if first:
            return
        for path in [path for path, seen in self._seen.items() if seen.state != "out"]:
            del self._seen[path]
        self._waiting.clear()
        self._ready.clear()
        self.stop()
        if place is None:
            self._say(f"{self._root} is gone. Waiting until it is back.")
            return
        self._say(f"{self._root} is {'back' if before is None else 'another folder now'}: going on.")
        if self._poll is None and not self._once:
            self._listen()
        self._next_scan = 0.0

    def _scan(self, now: float) -> None:
        """Look over the whole folder."""
        tree = walk(self._root, self._layout.suffixes)
        clock = time.time()
        for folder, names in tree.found.items():
            for name in names:
                path = f"{folder}/{name}" if folder else name
                if path not in self._seen and self._wanted(path):
                    self._note(path, now, clock if self._trusts_times else None)
        short = self._events is not None and not self._events.whole
        if short and self._short:
            self._poll_because("the system's limit of folders listened to is reached (fs.inotify.max_user_watches)")
        self._short = short
        took = time.monotonic() - now
        pause = self._poll or (PRESENT if short else RESCAN)
        self._next_scan = now + (inf if self._once else max(pause, SHARE * took))

    def _take_in(self, event: FolderEvent, now: float) -> None:
        if event.kind == "folder":  # its files may have come before it was listened to
            self._next_scan = min(self._next_scan, now + self._settle)
            return
        path = os.path.relpath(event.path, self._root)
        if not path.lower().endswith(self._layout.suffixes) or not self._in_sight(path) or not self._wanted(path):
            return
        seen = self._note(path, now)
        if seen is not None:
            seen.open = event.kind == "written" or (seen.open and event.kind == "made")
            seen.at_once = event.kind == "moved"
            if seen.state == "waiting" and seen.due(self._settle) < seen.looked_at:
                self._wait(path, seen)

    def _in_sight(self, path: str) -> bool:
        *folders, name = path.split("/")
        return not name.startswith(".") and not any(one.startswith(".") or is_system_folder(one) for one in folders)

    def _wanted(self, path: str) -> bool:
        name = without_suffix(path.rpartition("/")[2])
        if PARTIAL.search(name):
            if not self._told_partial:
                self._say(f"{path} is left alone until it has another name: its name says that it is not complete.")
            self._told_partial = True
            return False
        depth = DEPTH_FOLDERS.get(self._layout.name)
        return depth is None or depth.is_picture(self._root / path)

    def _note(self, path: str, now: float, clock: float | None = None) -> _Seen | None:
        """Take in how a file is; None where it has its result, or is gone. `clock`: the time of day where it tells for
        how long a file has been as it is."""
        stamp, seen = self.stamp(path), self._seen.get(path)
        if stamp is None or (seen is None and self._known(path, stamp)):
            return None
        if seen is not None:
            seen.stamp, seen.since = stamp, now
            return seen
        age = 0.0 if clock is None else max(0.0, clock - stamp.mtime_ns / 1e9)
        seen = self._seen[path] = _Seen(stamp, now - age)
        self._wait(path, seen)
        return seen

    def _wait(self, path: str, seen: _Seen) -> None:
        seen.state, seen.looked_at = "waiting", seen.due(self._settle)
        heapq.heappush(self._waiting, (seen.looked_at, seen.stamp.mtime_ns, path))

    def _settled(self, path: str, seen: _Seen, now: float) -> None:
        """A file whose moment has come: complete, if it is as it was."""
        if seen.due(self._settle) > now:
            self._wait(path, seen)
            return
        stamp = self.stamp(path)
        if stamp is None or self._known(path, stamp):
            del self._seen[path]
        elif stamp != seen.stamp:
            seen.stamp, seen.since = stamp, now
            self._wait(path, seen)
        else:
            seen.state = "ready"
            self._ready.append(path)

"""The files that pictures are made from, read where they lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.data.files.links import leads_out
from orchestrator.machine.home import AtHome, Kind
from orchestrator.machine.shipping import FILES, Shipping
from trainables.files import read_regular
from trainables.small_files import FolderFiles, refuse_outside

SOURCES = "sources"
"""The kind of `SourceFolder` at home."""
AT_ONCE = 8 * 2**20
"""Bytes that one call of a worker brings."""

Content = bytes | OSError | MemoryError
"""What a file holds, or why it can't be read."""


class SourceFiles(Protocol):
    """Files below the root of the data, by their paths relative to it."""

    def each(self, names: Sequence[str]) -> Iterator[Content]:
        """What each holds, in order."""
        ...

    def leads_out(self, name: str) -> bool:
        """Whether it really lies elsewhere."""
        ...


@dataclass(frozen=True)
class SourceFolder:
    """Those in a folder that this process sees."""

    root: str

    def each(self, names: Sequence[str]) -> Iterator[Content]:
        for name in names:
            try:
                refuse_outside(name)
                yield read_regular(f"{self.root}/{name}")
            except (OSError, MemoryError) as error:
                yield error

    def leads_out(self, name: str) -> bool:
        refuse_outside(name)
        return leads_out(self.root, name)

    def first(self, names: Sequence[str]) -> list[Content]:
        """What the first ones hold, of so many bytes together as a call should bring, and one at least."""
        read, size = list[Content](), 0
        for content in self.each(names):
            read.append(content)
            size += len(content) if isinstance(content, bytes) else 0
            if size >= AT_ONCE:
                break
        return read


@dataclass(frozen=True)
class ShippedSources(SourceFolder):
    """Those of a folder; a worker has them by Home."""

    shipping: Shipping = field(kw_only=True, repr=False, compare=False)

    def __reduce__(self) -> Any:
        return HomeSources, (self.shipping.home, SOURCES, (self.root,))


def kinds_for(root: Path, *written: Path) -> dict[str, Kind]:
    """What workers may ask of Home that draw the files below `root` into folders of `written`."""
    return {
        SOURCES: Kind(SourceFolder, (str(root.absolute()),)),
        FILES: Kind(FolderFiles, tuple(str(one.absolute()) for one in written)),
    }


@dataclass(frozen=True)
class HomeSources(AtHome):
    """`SourceFiles` at home."""

    def each(self, names: Sequence[str]) -> Iterator[Content]:
        """The next ones are read and sent while the first are worked on."""
        asked = self.asked("first", names) if names else None
        while asked is not None:
            came = self.answer(asked)
            names = names[len(came) :]
            asked = self.asked("first", names) if names else None
            yield from came

    def leads_out(self, name: str) -> bool:
        return bool(self.call("leads_out", name))

"""Rendering with a line of progress: a step of a run, and the command `orchestrate render`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data.render_pipeline import Filled, fill_store
from orchestrator.engine import Engine
from orchestrator.experiment import checked_size
from orchestrator.progress import Reporter
from trainables.errors import InputError


@dataclass(frozen=True)
class Rendered:
    """What became of a tree."""

    filled: Filled
    folder: Path

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        store = self.filled.store
        return {
            "store": str(self.folder),
            "pictures": len(store.paths),
            "rendered": self.filled.rendered,
            "reused": self.filled.reused,
            "shape": list(store.pictures.shape[1:]),
            "classes": list(store.classes),
            "fingerprint": store.fingerprint,
            "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in store.skipped],
        }

    def text(self) -> str:
        """For a person."""
        store = self.filled.store
        height, width, _ = store.pictures.shape[1:]
        lines = [
            f"{len(store.paths)} pictures of {height}x{width} in {len(store.classes)} classes: "
            f"{self.filled.rendered} rendered, {self.filled.reused} were there already.",
            *skipped_lines(self.filled),
            f"Store: {self.folder}",
        ]
        return "\n".join(lines)


def render_tree(
    root: Path,
    folder: Path,
    *,
    style: str,
    size: tuple[int, int] | None,
    column: str | None,
    png: Path | None,
    strict: bool,
    reporter: Reporter,
) -> Rendered:
    """Render the CSVs below `root` into the store `folder`."""
    engine = Engine()
    try:
        filled = fill_with_line(
            reporter,
            engine,
            root,
            folder,
            layout="series",
            style=style,
            size=size,
            column=column,
            png=png,
            strict=strict,
        )
    finally:
        engine.stop()
    return Rendered(filled, folder.absolute())


def fill_with_line(reporter: Reporter, engine: Engine, root: Path, folder: Path, **options: Any) -> Filled:
    """Fill a store, showing pictures done, pictures a second and the time left."""
    with reporter.line("render", 0, "pictures") as line:
        filled = fill_store(
            root,
            folder,
            **options,
            start_engine=engine.start,
            on_progress=lambda progress: line.update(
                progress.done, f"{progress.rate:.0f} pictures/s", total=progress.total
            ),
        )
    for remark in filled.remarks:
        reporter.say(remark)
    return filled


def skipped_lines(filled: Filled, most: int = 5) -> list[str]:
    """What was left out and why: the first few, and how many more."""
    skipped = filled.store.skipped
    lines = [f"Skipped {len(skipped)} files:"] if skipped else []
    lines += [f"  - {one.path!r}: {one.reason}" for one in skipped[:most]]
    if len(skipped) > most:
        lines.append(f"  - and {len(skipped) - most} more; all stand in the store's index")
    return lines


def parse_size(text: str) -> tuple[int, int] | None:
    """`N`, `HxW` or `full` -> (height, width), or None for full size."""
    if text == "full":
        return None
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdecimal() for side in sides):
        raise InputError(f"--size is {text!r}; it must be N, HxW (such as 40x72) or full.")
    height, width = int(sides[0]), int(sides[-1])
    try:
        checked_size((height, width))
    except ValueError as error:
        raise InputError(f"--{error}.") from None
    return height, width

"""How many pictures each part of an experiment's data will have, as far as it is known before they are drawn."""

from typing import NamedTuple, Self

from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import find_files
from orchestrator.data.split.make_split import UndrawnFiles, make_split
from orchestrator.data.split.split import Split
from orchestrator.experiment.preflight import Settled


class Sizes(NamedTuple):
    """Pictures; copies of one content, which stay in one part, may shift some."""

    pictures: int
    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, split: Split) -> Self:
        """Those of a split."""
        return cls(len(split.paths), len(split.train), len(split.validation), len(split.test))


def division(settled: Settled) -> tuple[Listing, Split]:
    """The files of a settled experiment, and the split that they would have if each were a picture of its own."""
    data = settled.experiment.data
    listing = find_files(data.path, data.layout)
    return listing, make_split(UndrawnFiles.of(listing.files), data.split, settled.goal.normal)

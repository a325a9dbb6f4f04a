"""The figures' font without what print has no use for, so that embedding it in each PDF takes a tenth of the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools import subset
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

_BLOCKS = ((0x20, 0x250), (0x370, 0x530), (0x1E00, 0x2300))
"""Latin, Greek and Cyrillic letters; punctuation, raised digits, arrows, signs of mathematics."""


@dataclass(frozen=True)
class PrintFont:
    """A font file and the characters that it has."""

    path: Path
    characters: frozenset[str]

    def put_on(self, figure: Figure) -> None:
        """Set every text of the figure in it, but those with a character that it lacks; nothing moves."""
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            if self.characters.issuperset(text.get_text()):
                text.get_fontproperties().set_file(str(self.path))


@contextmanager
def print_font() -> Iterator[PrintFont]:
    """matplotlib's DejaVu Sans with the letters of `_BLOCKS`, and without the tables that its layout does not read.

    matplotlib cuts the font down for each PDF; nearly all of that time goes to tables that rule ligatures and scripts.
    The file is there until the context ends.
    """
    options = subset.Options(layout_features=[], legacy_kern=True, glyph_names=True, notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "FFTM"]
    font = subset.load_font(font_manager.findfont("DejaVu Sans"), options)
    wanted = {code for first, end in _BLOCKS for code in range(first, end)}
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, font:
        path = Path(folder) / "DejaVuSans.ttf"
        font.save(path)
        yield PrintFont(path, frozenset(map(chr, font.getBestCmap())))

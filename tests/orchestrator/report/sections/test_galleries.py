"""Picture strips in the page: checked, exact where small, left out with a sentence where they are not what they say."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Chart, Charts, Fold, Listing, Section, Strips
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.galleries import gallery_section, size_of
from orchestrator.report.sections.strip_files import MOST_BYTES

MakeRun = Callable[..., RunFolder]


def section_of(run: RunFolder, **room: int) -> Section | None:
    data = read_run(run)
    return gallery_section(data, list(data.variants), **room)


def strips_of(section: Section | None) -> list[Strips]:
    assert section is not None
    return [
        strips
        for fold in section.blocks
        if isinstance(fold, Fold)
        for strips in fold.blocks
        if isinstance(strips, Strips)
    ]


def remarks_of(section: Section | None) -> str:
    assert section is not None
    return " ".join(item for block in section.blocks if isinstance(block, Listing) for item in block.items)


def pixels(uri: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_small_pictures_are_shown_exactly(make_detection_run: MakeRun) -> None:
    folders: list[Path] = []
    run = make_detection_run(search=0, seeds=(0,), then=lambda builder: folders.append(builder.gallery("vae", 0)))
    (strips,) = strips_of(section_of(run))
    assert strips.title == "Normals and what vae makes of them"
    assert [one.label for one in strips.strips] == ["picture", "reconstruction"]
    first = strips.strips[0]
    assert (first.pictures, first.width, first.height, first.exact) == (4, 72, 40, True)
    assert first.alt == "Normals and what vae makes of them: picture, 4 pictures side by side"
    np.testing.assert_array_equal(pixels(first.data), np.asarray(Image.open(folders[0] / "0-0.png")))


def test_large_pictures_are_made_smaller(make_detection_run: MakeRun) -> None:
    then = lambda builder: builder.gallery("vae", 0, size=(400, 200), count=2)  # noqa: E731
    (strips,) = strips_of(section_of(make_detection_run(search=0, seeds=(0,), then=then)))
    first = strips.strips[0]
    assert not first.exact
    assert first.data.startswith("data:image/jpeg;")
    assert pixels(first.data).shape == (192, 2 * 96, 3)


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it is 60 000 pixels wide and high."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("row", "content", "words"),
    [
        ({"file": "../0-0.png"}, None, "is not a name such as 0-0.png"),
        ({"file": "0-0.png\n"}, None, "is not a name such as 0-0.png"),
        ({"file": "0-0.svg"}, None, "is not a name such as 0-0.png"),
        ({"file": 7}, None, "is not a name such as 0-0.png"),
        ({"file": "9-9.png"}, None, "9-9.png is no file"),
        ({"count": 0}, None, "says it holds 0 pictures"),
        ({"count": 5}, None, "288 pixels wide, which 5 pictures can't share"),
        ({}, b"<svg onload='alert(1)'/>", "is no PNG that can be shown"),
        ({}, b"\x89PNG\r\n\x1a\n", "is no PNG that can be shown"),
        ({}, jpeg(), "is no PNG that can be shown"),
        ({}, bomb(), "is no PNG that can be shown"),
        ({}, b"\0" * (MOST_BYTES + 1), "is larger than 2 MB"),
    ],
)
def test_what_is_no_strip_is_left_out_and_said(
    make_detection_run: MakeRun, row: dict[str, object], content: bytes | None, words: str
) -> None:
    def spoil(builder) -> None:  # type: ignore[no-untyped-def]
        folder = builder.gallery("vae", 0)
        described = json.loads((folder / "gallery.json").read_text())
        described["galleries"][0]["rows"][0] |= row
        (folder / "gallery.json").write_text(json.dumps(described))
        if content is not None:
            (folder / "0-0.png").write_bytes(content)

    section = section_of(make_detection_run(search=0, seeds=(0,), then=spoil))
    assert words in remarks_of(section)
    (strips,) = strips_of(section)
    assert [one.label for one in strips.strips] == ["reconstruction"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"galleries": 3}', '{"galleries": [7]}', '{"galleries": [{"rows": 1}]}']
)
def test_a_broken_list_is_said(make_detection_run: MakeRun, text: str) -> None:
    then = lambda builder: (builder.gallery("vae", 0) / "gallery.json").write_text(text)  # noqa: E731
    section = section_of(make_detection_run(search=0, seeds=(0,), then=then))
    assert "vae" in remarks_of(section)
    assert strips_of(section) == []


def test_links_are_not_followed(make_detection_run: MakeRun) -> None:
    def link(builder) -> None:  # type: ignore[no-untyped-def]
        folder = builder.gallery("vae", 0)
        outside = builder.run.root.parent / "outside.png"
        (folder / "0-0.png").rename(outside)
        (folder / "0-0.png").symlink_to(outside)

    assert "0-0.png is no file" in remarks_of(section_of(make_detection_run(search=0, seeds=(0,), then=link)))


def test_without_room_galleries_are_left_out_with_a_sentence(make_detection_run: MakeRun) -> None:
    then = lambda builder: [builder.gallery(name, 0) for name in ("pca", "vae")]  # noqa: E731
    run = make_detection_run(search=0, seeds=(0,), then=then)
    everything = strips_of(section_of(run))
    sizes = [sum(len(one.data) for one in strips.strips) for strips in everything]
    section = section_of(run, room=sizes[0])
    assert [strips.title for strips in strips_of(section)] == ["Normals and what pca makes of them"]
    assert "1 gallery of vae left out to keep this page small" in remarks_of(section)
    section = section_of(run, room=-5)
    assert strips_of(section) == []
    assert "2 galleries of pca and vae left out" in remarks_of(section)


def test_no_gallery_no_section(make_detection_run: MakeRun) -> None:
    assert section_of(make_detection_run(search=0, seeds=(0,))) is None


def test_size_counts_figures() -> None:
    chart = Chart("t", "c", "a", "x" * 10_000)
    assert size_of([Section("s", "S", [], [Fold("f", [Charts([chart, chart])])]), None]) > 20_000

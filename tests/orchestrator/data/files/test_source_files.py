"""Files of the data: one after the other, by as many as a call should bring, and none from elsewhere."""

from pathlib import Path
from typing import ClassVar

import pytest

from orchestrator.data.files import source_files
from orchestrator.data.files.source_files import HomeSources, SourceFolder


class HereAtHome(HomeSources):
    """Home in this process, which counts what it is asked for."""

    calls: ClassVar[list[int]] = []

    def asked(self, method, *given, **named):  # type: ignore[no-untyped-def]
        answer = getattr(SourceFolder(*self.place), method)(*given, **named)
        self.calls.append(len(answer))
        return answer

    def answer(self, asked):  # type: ignore[no-untyped-def]
        return asked


def test_what_home_gives_is_what_lies_there_by_calls_of_some_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        (tmp_path / f"{number}.csv").write_bytes(bytes([number]) * 10)
    names = [f"{number}.csv" for number in range(10)] + ["missing.csv", "../outside.csv", "0.csv"]
    monkeypatch.setattr(source_files, "AT_ONCE", 25)
    here, home = SourceFolder(str(tmp_path)), HereAtHome(None, "sources", (str(tmp_path),))
    found, other = list(home.each(names)), list(here.each(names))
    assert list(map(repr, found)) == list(map(repr, other))
    assert [type(one) for one in found[10:]] == [FileNotFoundError, PermissionError, bytes]
    assert HereAtHome.calls == [3, 3, 3, 4]
    assert list(home.each([])) == []


def test_a_link_that_leads_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").touch()
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/file").touch()
    files = SourceFolder(str(tmp_path / "in"))
    assert (files.leads_out("link"), files.leads_out("file")) == (True, False)

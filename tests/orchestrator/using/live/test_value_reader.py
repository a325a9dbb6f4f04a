"""Lines of a live CSV are read as the whole file would be."""

import math

import pytest

from orchestrator import InputError
from orchestrator.data.files.series import parse_series
from orchestrator.using.live.value_reader import ValueReader

FILES = {
    "numbers": "1\n2.5\n-3e2\n4\n",
    "gaps": "1\n\n2\nNaN\n3\n\n\n",
    "header": "value\n1\n2\n3\n",
    "preferred": "time,value,other\n0,1.5,7\n1,2.5,8\n2,3.5,9\n",
    "above": "# made by a logger\nDevice 3\ntime,value\ns,V\n0,1.5\n1,2.5\n2,3.5\n",
    "commas": "t;data\n0;1,5\n1;2,5\n2;1,234\n",
    "groups": "value\n12,5\n13,5\n1.234,5\n",
    "quoted": 'name,value\n"a, b",1\n"c",2\n',
    "short rows": "time,value\n0,1\n1\n2,3\n",
    "comments": "time,value\n0,1\n# pause\n2,3\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("at_once", [True, False])
def test_as_the_reader_of_whole_files(name: str, at_once: bool) -> None:
    lines = FILES[name].splitlines()
    reader = ValueReader(None, "auto", lambda text: None)
    pieces = [lines] if at_once else [[line] for line in lines]
    values = [value for piece in pieces for value in reader.read(piece)]
    expected = parse_series(FILES[name].encode("utf-8"), gaps="break").values
    assert [value for value in values if not math.isnan(value)] == expected[~(expected != expected)].tolist()
    assert len(values) == len(expected)


def test_the_column_is_the_one_that_is_named() -> None:
    assert ValueReader("B", "auto", print).read(["a,b", "1,2"]) == [2.0]
    assert ValueReader("any", "auto", print).read(["1", "2"]) == [1.0, 2.0], "bare numbers have no name"
    with pytest.raises(InputError, match=r"no column 'c': the columns are 'a', 'b'\. Name one"):
        ValueReader("c", "auto", print).read(["a,b", "1,2"])


def test_what_has_two_readings_is_a_gap_that_is_told_once() -> None:
    said: list[str] = []
    reader = ValueReader(None, "auto", said.append)
    lines = ("t\tdata", "0\t1,234", "1\t2,345", "2\t1,5", "3\t1,234")
    values = [value for line in lines for value in reader.read([line])]
    assert math.isnan(values[0])
    assert values[-2:] == [1.5, 1.234]
    assert len(said) == 1
    assert ValueReader(None, "comma", said.append).read(["t\tdata", "0\t1,234"]) == [1.234]


def test_where_no_number_comes_that_is_told() -> None:
    reader = ValueReader(None, "auto", print)
    assert reader.read(["word"] * 200) == []
    with pytest.raises(InputError, match="no number in the column's first 200 lines"):
        reader.read(["word"])


def test_a_new_file_has_a_header_of_its_own() -> None:
    reader = ValueReader(None, "auto", print)
    assert reader.read(["time,value", "0,1"]) == [1.0]
    reader.restart()
    assert reader.read(["value;time", "2;0"]) == [2.0]

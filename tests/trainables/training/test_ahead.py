import threading
import time
from collections.abc import Iterator

import pytest

from trainables.training.ahead import made_ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "made ahead"]


def test_all_is_made_in_order_and_the_thread_is_gone() -> None:
    assert list(made_ahead(lambda number: number**2, range(50), depth=3)) == [number**2 for number in range(50)]
    assert list(made_ahead(str, [], depth=1)) == []
    assert threads() == []


def test_no_more_is_made_ahead_than_there_is_room_for() -> None:
    begun: list[int] = []

    def make(number: int) -> int:
        begun.append(number)
        return number

    numbers = made_ahead(make, range(100), depth=2)
    assert next(numbers) == 0
    deadline = time.monotonic() + 30
    while len(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    # One taken, two ready, one at the door.
    assert begun == [0, 1, 2, 3]
    numbers.close()
    assert begun == [0, 1, 2, 3]
    assert threads() == []


def test_an_error_comes_in_its_turn() -> None:
    def make(number: int) -> float:
        return 1 / (3 - number)

    numbers = made_ahead(make, range(9), depth=1)
    assert [next(numbers) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(numbers)
    assert threads() == []


def test_an_error_of_what_is_gone_through_is_told_too() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError(5, "the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(made_ahead(str, items(), depth=2))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_reader_that_leaves_early_leaves_no_thread(depth: int) -> None:
    for taken in range(1, 8):
        numbers = made_ahead(lambda number: number, range(1000), depth)
        assert [next(numbers) for _ in range(taken)] == list(range(taken))
        numbers.close()
        assert threads() == []


def test_a_reader_that_fails_leaves_no_thread() -> None:
    def reads() -> None:
        for number in made_ahead(lambda number: number, range(1000), depth=2):
            if number == 5:
                raise KeyError(number)

    with pytest.raises(KeyError, match="5"):
        reads()
    assert threads() == []

"""Limits on a process: told before Ray starts, with the value and what is needed; each in a process that has it."""

import resource
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
number, soft, hard = map(int, sys.argv[1:])
resource.setrlimit(number, (soft, hard))
from orchestrator.machine.engine import Engine
from trainables.errors import InputError
try:
    Engine(cpus=2).check()
except InputError as error:
    print(error)
assert not {"ray", "torch"} & set(sys.modules)
print(resource.getrlimit(number)[0])
"""
INFINITE = resource.RLIM_INFINITY


def told(number: int, soft: int, hard: int) -> list[str]:
    program = [sys.executable, "-c", PROGRAM, str(number), str(soft), str(hard)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("number", "value", "words"),
    [
        (resource.RLIMIT_NOFILE, 64, ["open files is 64", "ulimit -n"]),
        (resource.RLIMIT_NOFILE, 200, ["open files is 200", "ulimit -n"]),
        (resource.RLIMIT_AS, 4 * 2**30, ["address space is 4.0 GiB", "ulimit -v"]),
        (resource.RLIMIT_FSIZE, 10**6, ["a file's size is", "ulimit -f"]),
        (resource.RLIMIT_FSIZE, 0, ["a file's size is 0 MiB", "ulimit -f"]),
    ],
)
def test_a_limit_that_is_too_low_is_told(number: int, value: int, words: list[str]) -> None:
    said, _ = told(number, value, value)
    for word in ("Ray needs", "on 2 CPUs", "Raise it", *words):
        assert word in said


@pytest.mark.parametrize(
    ("number", "value"), [(resource.RLIMIT_AS, 2**42), (resource.RLIMIT_FSIZE, 2**42), (resource.RLIMIT_NOFILE, 1024)]
)
def test_a_limit_that_is_wide_enough_is_none(number: int, value: int) -> None:
    assert told(number, value, value) == [str(value)]


def test_of_open_files_what_may_be_had_is_taken() -> None:
    (now,) = told(resource.RLIMIT_NOFILE, 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert int(now) > 64

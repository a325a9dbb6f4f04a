"""A process that may not grow."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def little_memory() -> Iterator[None]:
    """At most 256 MiB more than this process has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**28, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

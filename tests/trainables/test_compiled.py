"""Compiled code works where its cache can't be kept, and keeps floating-point order."""

import pytest
from numba.core import caching

from trainables.compiled import compiled


def fused(a: float, b: float, c: float) -> float:
    return a * b + c


def test_products_are_rounded_before_they_are_added() -> None:
    a, b = 1.0 + 2.0**-30, 1.0 - 2.0**-30
    assert a * b - 1.0 == 0.0  # a fused multiply-add gives -2**-60
    assert compiled(fused)(a, b, -1.0) == 0.0


def test_without_a_folder_to_write_to_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert compiled(fused)(2.0, 3.0, 1.0) == 7.0

"""Functions compiled by numba, kept on disk where the machine allows it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`function` compiled on first use, without the fused or reordered arithmetic that would change its last bits.

    The machine code is kept beside the module, else in the user's cache folder, else in this process only.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}
    try:
        compiles: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to write to
        compiles = numba.njit(**options)(function)
    return cast(Function, compiles)

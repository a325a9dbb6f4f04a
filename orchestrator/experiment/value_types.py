"""What single values of an experiment's file may be: taken as they are written, finite, and within reason."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, Strict, StrictInt

VARIANT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MOST_WORK = 1_000_000
"""Trials or epochs: more is a slip of the pen."""
MOST_MINUTES = 5_256_000
"""Ten years."""
SMALLEST_SHARE = 0.01
"""Of a CPU or GPU: a hundred trials on one already hinder each other."""
LONGEST_PATH, LONGEST_NAME = 4_095, 255
"""Of Linux and its file systems, in bytes."""
MOST_CPUS = 100_000


def _one_line(path: Path) -> Path:
    if found := re.search("[\x00-\x1f\x7f-\x9f]", str(path)):
        code = f"U+{ord(found[0]):04X}"
        raise ValueError(f"a path holds no line breaks, NUL or other control characters, and here is {code}")
    if len(os.fsencode(path)) > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise ValueError(f"no path is so long: at most {LONGEST_PATH:,} bytes, and {LONGEST_NAME} for one name in it")
    return path


def _whole_or_share(gpus: float) -> float:
    if 0 < gpus < SMALLEST_SHARE or (gpus > 1 and not gpus.is_integer()):
        raise ValueError(f"must be 0, a share of one GPU from {SMALLEST_SHARE} on, or a whole number")
    return gpus


FilePath = Annotated[Path, AfterValidator(_one_line)]
Number = Annotated[FiniteFloat, Strict()]
"""`true` and texts are none."""
Work = Annotated[StrictInt, Field(ge=1, le=MOST_WORK)]
Positive = Annotated[Number, Field(gt=0)]
Minutes = Annotated[Number, Field(gt=0, le=MOST_MINUTES)]
Auto = Literal["auto"]
Cpus = Auto | Annotated[Number, Field(ge=SMALLEST_SHARE, le=MOST_CPUS)]
Gpus = Auto | Annotated[Number, Field(ge=0, le=MOST_CPUS), AfterValidator(_whole_or_share)]
"""Ray takes no share of more than one."""

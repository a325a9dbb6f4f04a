"""Errors that the user can mend: of what he gave, and of the disk that he gave it room on."""

import errno
import traceback
from dataclasses import dataclass
from typing import Self

from trainables.credentials import masked

STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EFBIG)
"""What a disk says that is full, over its quota, read-only, broken or gone."""


class InputError(ValueError):
    """Bad input. The message names the rule, the value, what is allowed and what to do next; no credentials."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))


def storage_error(error: BaseException | None, *also: int) -> OSError | None:
    """What a disk said, the first of an error and its causes that is one of STORAGE or `also`; None: none is."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (*STORAGE, *also):
            return error
        wrapped = getattr(error, "cause", None)  # by Ray, whose own copy may lack the number
        error = wrapped if isinstance(wrapped, BaseException) else error.__cause__ or error.__context__
    return None


@dataclass(frozen=True)
class ToldError:
    """What an error said, as plain values: it holds nothing alive that the error held, and any process can read it."""

    text: str
    """The traceback."""
    storage: tuple[int | None, str | None, str | None] | None
    """What a disk said: errno, text, file; None where it was none."""

    @property
    def disk(self) -> OSError | None:
        """The error of the disk, where it was one."""
        return None if self.storage is None else OSError(*self.storage)

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Of an error that was caught."""
        disk = storage_error(error)
        storage = None if disk is None else (disk.errno, disk.strerror, disk.filename)
        return cls("".join(traceback.format_exception(error)), storage)

"""The programs of a target, such as sbatch and kubectl, asked with an end."""

import subprocess
from collections.abc import Sequence

from trainables.errors import InputError
from trainables.printing import printable_lines

PATIENCE = 60.0
"""Seconds for a scheduler to answer."""


def said_by(command: Sequence[str], missing: str, stdin: str | None = None) -> str:
    """What a program answers; InputError in its own words where it refuses. `missing`: what to do where it is none."""
    code, out, err = asked(command, missing, stdin)
    if code != 0:
        words = printable_lines((err.strip() or out.strip())[-2000:]) or f"exit code {code}"
        raise InputError(f"`{' '.join(command[:3])}` refuses: {words}")
    return out


def asked(command: Sequence[str], missing: str, stdin: str | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and errors of a program; InputError where it is not there or does not answer."""
    source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, errors="replace", timeout=PATIENCE, **source
        )
    except FileNotFoundError:
        raise InputError(f"There is no program {command[0]} here. {missing}") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"`{command[0]}` gave no answer in {PATIENCE:.0f} s. Try again later.") from None
    return done.returncode, done.stdout, done.stderr

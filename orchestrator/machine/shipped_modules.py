"""The three packages, for machines that do not have them: what goes along with a run that joins a cluster."""

import importlib
import json
import os
from pathlib import Path
from typing import Any

PACKAGES = ("orchestrator", "trainables", "search_spaces")
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray's job server tells a driver what its job was submitted with."""


def package_folders() -> list[str]:
    """Where the three packages lie here."""
    return [str(Path(str(importlib.import_module(name).__file__)).parent) for name in PACKAGES]


def shipped_modules() -> dict[str, Any]:
    """The part of `ray.init`'s runtime_env that has workers import these packages, and not a stranger's of that name.

    In a submitted job Ray joins it with the job's own, and refuses what stands in both. What came with the job is in
    every worker already; where these packages came another way they are put before the job's own modules.
    """
    if JOB not in os.environ:
        return {"py_modules": package_folders()}
    theirs = json.loads(os.environ[JOB]).get("runtime_env", {}).get("py_modules", [])
    arrived = {Path(uri).stem for uri in theirs}  # Ray unpacks gcs://NAME.zip into a folder NAME
    ours = [folder for folder in package_folders() if Path(folder).parent.name not in arrived]
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"  # else one variable in both would be an error
    return {"py_modules": [*ours, *theirs]} if ours else {}

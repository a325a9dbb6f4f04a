"""Where Ray's workers look for modules: where this process does, and not in whatever folder it was started from."""

import os
import sys
from typing import Any


def job_of_this_path() -> Any:
    """What `ray.init` takes as `job_config`.

    By itself Ray puts the current folder first on its workers' path, so that a `matplotlib.py` in a run's folder would
    run there. It stays only where this process itself looks for modules in it.
    """
    from ray.job_config import JobConfig

    class ThisPath(JobConfig):
        def _get_proto_job_config(self) -> Any:
            here = {os.path.realpath(place or os.curdir) for place in sys.path}
            given = self._py_driver_sys_path
            self._py_driver_sys_path = [place for place in given if os.path.realpath(place) in here]
            return super()._get_proto_job_config()  # type: ignore[no-untyped-call]

    return ThisPath()

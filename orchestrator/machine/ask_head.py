"""A program of its own: asks the head of a cluster which Ray and Python it runs, and whether they are this one's."""

import json
import signal
import sys


def main() -> None:
    """Ask the head at the address that is given; prints (Ray, Python) there, those here, and whether they fit.

    Where no answer comes in so many seconds as are given too, SIGALRM ends this process: Ray's C++ part ends no wait.
    """
    from ray._private.utils import check_version_info, compute_version_info
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))
    # Where usage_lib keeps it; a head that says nothing of itself is left to Ray's own check.
    told = GcsClient(address=sys.argv[1]).internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=10)
    here, fits = compute_version_info(), True  # type: ignore[no-untyped-call]
    there = here
    if told is not None:
        metadata = json.loads(told)
        there = metadata["ray_version"], metadata["python_version"]
        try:
            check_version_info(metadata, "this process")
        except RuntimeError:
            fits = False
    print(json.dumps([there, here, fits]))


if __name__ == "__main__":
    main()

"""The engine in a process of its own: it listens to this machine alone, and leaves nothing running."""

import subprocess
import sys

PROGRAM = """
import ipaddress, psutil
from orchestrator.engine import Engine, available
with Engine(cpus=2) as engine:
    engine.start()  # a second start is none
    assert available()["cpus"] == 2
    mine = psutil.Process().children(recursive=True)
    heard = [c.laddr.ip for p in [psutil.Process(), *mine] for c in p.net_connections() if c.status == "LISTEN"]
    assert heard, "nothing was seen to listen"
    print([one for one in heard if not ipaddress.ip_address(one.removeprefix("::ffff:")).is_loopback])
gone, alive = psutil.wait_procs(mine, timeout=20)
print([process.name() for process in alive])
"""


def test_it_listens_to_this_machine_alone_and_ends_what_it_started() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["[]", "[]"]
    assert not ended.stderr

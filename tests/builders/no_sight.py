"""A run on this machine's Ray as where nodes share no folder, whose workers write down what they open of folders that
are not theirs: `python -m`, with the arguments of `orchestrate`.

`environment` gives what such a process is to be started with. Home may open them: it is the driver's."""

import os
import sys
from pathlib import Path

HOOK = """
import os, sys
roots, told = os.environ["UNSEEN"].split(os.pathsep), os.environ["UNSEEN_TOLD"]

def frames(frame):
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back

def watch(event, args):
    if event not in ("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove"):
        return
    path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else ""
    if any(path.startswith(root) for root in roots):
        if not any(name.endswith("machine/home.py") for name in frames(sys._getframe(1))):
            line = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(line, f"{event} {path}\\n".encode("utf-8", "surrogateescape"))
            os.close(line)

if any("default_worker.py" in one for one in sys.orig_argv):
    sys.addaudithook(watch)
"""


def environment(folder: Path, storage: str, told: Path, *unseen: Path) -> dict[str, str]:
    """`folder`: where the workers' hook may lie; `told`: the file of what they opened below `unseen`."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    path = os.pathsep.join([str(folder), *(one for one in sys.path if one)])
    roots = os.pathsep.join(map(str, unseen))
    return os.environ | {"PYTHONPATH": path, "UNSEEN": roots, "UNSEEN_TOLD": str(told), "UNSEEN_STORAGE": storage}


if __name__ == "__main__":
    from orchestrator.cli.main import main
    from orchestrator.running import run

    run.LOCALLY = os.environ["UNSEEN_STORAGE"]  # type: ignore[assignment]
    main()

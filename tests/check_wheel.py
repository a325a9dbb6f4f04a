"""Builds the wheel, installs it in a clean environment, and fails unless it holds exactly the three packages."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

EXPECTED = {"orchestrator", "trainables", "search_spaces"}
DATA = (
    "orchestrator/experiment/starter.yaml",
    "orchestrator/py.typed",
    "orchestrator/report/document/templates",
)


def main() -> int:
    """0 where the wheel is as it must be."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", folder, root], check=True, stdout=-3)
        (wheel,) = folder.glob("*.whl")
        venv.create(folder / "clean", with_pip=False)
        site = folder / "site"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel], check=True
        )
        found = {path.name for path in site.iterdir() if path.suffix != ".dist-info" and path.name != "bin"}
        missing = [name for name in DATA if not (site / name).exists()]
        code = "import search_spaces, orchestrator, trainables; print('ok')"
        clean = folder / "clean" / "bin" / "python"
        subprocess.run([clean, "-c", code], check=True, cwd=folder, env={"PYTHONPATH": str(site)}, stdout=-3)
    if found != EXPECTED or missing:
        print(f"The wheel holds {sorted(found)}, expected {sorted(EXPECTED)}; missing data: {missing}", file=sys.stderr)
        return 1
    print(f"The wheel holds exactly {', '.join(sorted(found))}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

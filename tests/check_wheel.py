"""Builds both distributions: the wheel must hold exactly the three packages, the source what its readers need."""

import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

EXPECTED = {"orchestrator", "trainables", "search_spaces"}
DATA = (
    "orchestrator/experiment/starter.yaml",
    "orchestrator/launching/templates/job.sh.j2",
    "orchestrator/py.typed",
    "orchestrator/report/document/templates",
)


SOURCE = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "constraints.txt"),
    *("pyproject.toml", "benchmarks", "docs", "examples", "orchestrator", "search_spaces", "tests", "trainables"),
)
"""Of the checkout; folders with every file that git knows in them."""


def missing_in_source(root: Path, folder: Path) -> list[str]:
    """What a source distribution that is built in `folder` lacks of the checkout."""
    subprocess.run([sys.executable, "-m", "build", "--sdist", "--outdir", folder, root], check=True, stdout=-3)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    wanted = subprocess.run(
        ["git", "ls-files", "-z", *SOURCE], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return sorted({*filter(None, wanted), *(name for name in SOURCE if not (root / name).is_dir())} - held)


def main() -> int:
    """0 where both are as they must be."""
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
        lacking = missing_in_source(root, folder)
    if lacking:
        print(f"The source distribution lacks {len(lacking)} files: {lacking[:20]}", file=sys.stderr)
        return 1
    if found != EXPECTED or missing:
        print(f"The wheel holds {sorted(found)}, expected {sorted(EXPECTED)}; missing data: {missing}", file=sys.stderr)
        return 1
    print(f"The wheel holds exactly {', '.join(sorted(found))}; the source distribution lacks nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

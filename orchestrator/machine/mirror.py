"""Copies of what is finished, at a URI: a second place that may fail without harm."""

from pathlib import Path

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.machine.progress import Reporter
from trainables.credentials import masked
from trainables.errors import InputError
from trainables.files import is_draft


class Mirror:
    """Copies a run's records, choices, models and report to a URI (file, s3, gs, hdfs); without one it does nothing."""

    def __init__(self, uri: str | None, folder: RunFolder, reporter: Reporter) -> None:
        self._folder = folder
        self._reporter = reporter
        self._copied: dict[str, int] = {}
        self._files = None
        if uri is None:
            return
        from pyarrow import ArrowException, fs

        try:
            self._files, self._root = fs.FileSystem.from_uri(uri)
        except (ArrowException, OSError, ValueError) as error:
            raise InputError(
                f"mirror: {uri!r} can't be used ({error}). Give a URI such as file:///backup/run."
            ) from None

    def copy(self) -> None:
        """Copy what is new or changed since the last call; say it where that fails, and go on."""
        if self._files is None:
            return
        run = self._folder
        files: list[Path] = []
        for each in [run, *(RunFolder(path, run.whole) for path in sorted((run.root / "splits").glob("*")))]:
            files += [each.experiment, each.as_run, each.records, each.split, each.places, each.ablation]
            files += [each.test_reads]
            files += sorted((each.root / "studies").glob("*.choice.json"))
            files += [path for kept in (each.models, each.report) for path in sorted(kept.rglob("*")) if path.is_file()]
        try:
            for path in files:
                if not path.exists() or any(map(is_draft, (path, *path.parents))):
                    continue
                name, stamp = path.relative_to(run.root).as_posix(), path.stat().st_mtime_ns
                if self._copied.get(name) == stamp:
                    continue
                target = f"{self._root}/{name}"
                self._files.create_dir(target.rsplit("/", 1)[0], recursive=True)
                with self._files.open_output_stream(target) as stream, path.open("rb") as source:
                    while block := source.read(1 << 20):
                        stream.write(block)
                self._copied[name] = stamp
        except OSError as error:
            self._reporter.say(
                f"The mirror could not be written ({masked(str(error))}); the run itself is whole and goes on."
            )

"""The run's one truth: a line of JSON for every trial and every evaluated cell."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.run_folder import RunFolder
from trainables.errors import InputError
from trainables.files import append_line, as_utf8
from trainables.interface import Mode
from trainables.speed import NO_LIMITS, Limits, Speed

FORMAT: Final = 1
"""Of the records that this version writes and reads."""
MARK = ', "checksum": "'
TAIL = MARK + '01234567"}'
"""How the line of a record ends: the CRC-32 of its JSON without this."""

TRAINING: Final = "training"
"""The fact that says whose training a record's is, where nothing was trained for it."""
TAKEN_OVER: Final = "scores taken over from"
"""The fact that names the variant whose kept scores were judged again."""

Stage = Literal["search", "evaluation", "tuning", "ablation"]
"""tuning: the search of one variant of an ablation; ablation: one of its cells that no evaluation has."""


class ThresholdChoice(BaseModel):
    """Detection: where a model draws the line, chosen on validation scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str
    """As an experiment writes it, such as `percentile(95)`."""
    value: float
    """Scores above it are anomalies."""
    folds: int | None = None
    """By which strategies were compared, cross-fitted; 0: too few anomalies, each was judged on what it was fitted to.
    None: validation holds normals only, and none can be compared; or a version wrote this that did not say it."""


class Provenance(BaseModel):
    """Where a figure came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    """The hash of the validated experiment."""
    data: str
    """The fingerprint of the data: relative paths and contents."""
    split: str
    """The fingerprint of the split."""
    code: str
    """The version of this package, with the commit where there is one."""
    packages: dict[str, str]
    device: str
    host: str
    finished: str
    """UTC, ISO 8601."""


class ClassScores(BaseModel):
    """How well one class was found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: float
    recall: float
    f1: float
    support: int


class TrialRecord(BaseModel):
    """One configuration with one seed: what it was, what came out, and why it ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    stage: Stage
    family: str
    variant: str
    trial: int
    """The number of the trial in its study; for an evaluated cell, the trial that its configuration comes from."""
    seed: int
    split: Literal["validation", "test"]
    """The part that `metrics` were measured on."""
    config: dict[str, Any]
    metrics: dict[str, float] = Field(default_factory=dict)
    """Deterministic numbers only, at `epoch`; empty where nothing was reported."""
    cross_fitted: int = 0
    """Where the objective is at a threshold: the folds by which validation figures at a threshold are cross-fitted, in
    `history`, and of a trial in `metrics`. 0: they are at the threshold that is fitted to the same scores."""
    epoch: int | None = None
    """The epoch, from 1, that validation chose."""
    history: list[dict[str, float]] = Field(default_factory=list)
    """A row an epoch: `epoch`, the losses that the family has, and the validation metrics by name."""
    per_class: dict[str, ClassScores] = Field(default_factory=dict)
    """Evaluation only: by class name, on the test part."""
    confusion: list[list[int]] = Field(default_factory=list)
    """Evaluation only: rows are true classes, columns predicted ones, in the order of `per_class`."""
    threshold: ThresholdChoice | None = None
    """Detection only. Search: the best strategy on this trial's validation scores. Evaluation: the winner's strategy,
    fitted to this cell's own validation scores."""
    per_kind: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Evaluation of detection only: metrics of each kind of anomaly against all normals, by the kind's folder name."""
    cell: str = ""
    """Evaluated cells only: the hash of all that decides the result but the seed (see `Cell.key`)."""
    reading: str = ""
    """Evaluation only: the hash of the line of `test_reads.jsonl` that this cell wrote; empty before lines had one."""
    files: dict[str, str] = Field(default_factory=dict)
    """Evaluation only: the SHA-256 of the files of scores in the model's folder, by name."""
    status: Status
    reason: str = ""
    trained: bool = True
    """False where nothing was trained for it: another record's weights, or epochs, are its own, too, and `facts` says
    whose. `seconds` are then those that this took."""
    seconds: float
    """Wall time of this trial or cell, training and scoring."""
    seconds_a_picture: float | None = None
    """Evaluation only: wall time of scoring the test part by its number of pictures, maps included, with what the
    machine did beside it."""
    speed: Speed | None = None
    """How fast the model is where it was trained. Of trials only where the experiment limits it, after their first
    epoch. None where it was not measured, as in records of versions that did not."""
    device: Literal["cpu", "cuda"] | None = None
    """What it was trained on; `provenance.device` names it. None in records of versions that did not say it."""
    cpus: float | None = None
    """CPUs reserved while it ran, by each worker; torch had as many threads. None likewise."""
    gpus: float = 0.0
    """GPUs reserved while it ran, by each worker."""
    workers: int = 1
    """That shared the training: batches were so many times as large as the configuration says."""
    parameters: int | None = None
    energy: float | None = None
    """Joules that the GPUs drew while it ran, by NVML; of whole devices, also where trials share one. None where
    several workers shared the training."""
    peak_memory: int | None = None
    """Bytes: the most that the worker process held (resident), or on a GPU the most that torch allocated."""
    own_memory: int | None = None
    """Bytes: the most that the training took beyond what its worker held before it, without what processes share; on a
    GPU, what torch's allocator reserved. None in records of versions that did not measure it."""
    available_memory: int | None = None
    """Bytes that were free on the machine, or on its GPU, when it began. None likewise."""
    facts: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance

    @field_validator("reason", mode="after")
    @classmethod
    def _writable(cls, text: str) -> str:
        """An error may name a file whose name is no UTF-8, which JSON can't give back."""
        return as_utf8(text)

    @property
    def gpu_seconds(self) -> float:
        """Of all GPUs that were reserved for it."""
        return self.seconds * self.gpus * self.workers

    @property
    def strategy(self) -> str | None:
        """The threshold strategy that it was judged by."""
        return None if self.threshold is None else self.threshold.strategy


def append_record(path: Path, record: TrialRecord) -> None:
    """Append one record with its checksum, and wait until it is on the disk."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=True, allow_nan=False)
    append_line(path, f'{text[:-1]}{MARK}{zlib.crc32(text.encode("ascii")):08x}"}}')


def keep_record(run: RunFolder, record: TrialRecord) -> None:
    """Append a record to a run's. Raises OSError where that can't be done, or the run's folder has gone."""
    run.experiment.stat()  # a file of records begun anew would pass for the whole run's
    append_record(run.records, record)


def best_record(
    records: Iterable[TrialRecord], metric: str, mode: Mode, limits: Limits = NO_LIMITS
) -> TrialRecord | None:
    """The one with the best `metric`, of equals the first by number: of completed ones, else of any; of those alone
    that keep the `limits`."""
    sign = 1 if mode == "max" else -1
    reported = [record for record in records if metric in record.metrics and limits.kept_by(record.speed)]
    done = [record for record in reported if record.status == "completed"] or reported
    return max(done, key=lambda record: (sign * record.metrics[metric], -record.trial), default=None)


def nearest_beyond(records: Sequence[TrialRecord], metric: str, limits: Limits) -> TrialRecord | None:
    """Where trials have figures and none of them keeps the `limits`: the one that is least beyond them; else None."""
    reported = [record for record in records if metric in record.metrics]
    if any(limits.kept_by(record.speed) for record in reported):
        return None
    return min(reported, key=lambda record: (limits.distance(record.speed), record.trial), default=None)


def beyond_limits(records: Sequence[TrialRecord], metric: str, limits: Limits) -> str:
    """In that case what the limits are, and what the nearest trial takes, as a clause; else empty."""
    nearest = nearest_beyond(records, metric, limits)
    if nearest is None:
        return ""
    reported = [record for record in records if metric in record.metrics]
    count = "its one trial does not keep" if len(reported) == 1 else f"none of {len(reported)} trials keeps"
    return f"{count} to {limits.told}: the nearest, trial {nearest.trial}, has {limits.broken_by(nearest.speed)}"


def read_lines(path: Path) -> Iterator[bytes]:
    """The records' JSON in the order in which they were written. A last line without its end is left out.

    Raises InputError where the file can't be opened, and at a line that is not as it was written: figures that rest on
    the others would be wrong.
    """
    if not path.exists():
        return
    try:
        lines = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} can't be read: {error.strerror}. It must be the file of lines that a run writes; put it back from "
            "a copy (such as the mirror)."
        ) from None
    with lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            text, mark, checksum = line[: -len(TAIL) - 1] + b"}", line[-len(TAIL) - 1 : -11], line[-11:-3]
            if mark != MARK.encode("ascii") or b"%08x" % zlib.crc32(text) != checksum:
                raise InputError(
                    f"Line {number} of {path} is not as it was written: its checksum is another. Put the file back "
                    "from a copy (such as the mirror), or remove the line: what it recorded is then done again."
                )
            yield text


def read_records(path: str | Path) -> Iterator[TrialRecord]:
    """The records of a records.jsonl in the order in which they were written; none where there is no such file yet.

    `read_lines` says what is left out. Raises InputError at a line that is not as it was written, and at a record of
    another version of this package.
    """
    path = Path(path)
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = TrialRecord.model_validate_json(line)
        except ValidationError as error:
            raise unreadable(path, number, line, error) from None
        yield record


def unreadable(path: Path, number: int, line: bytes, error: Exception) -> InputError:
    """What is wrong with a record that is as it was written, but not as this version writes them, and what to do."""
    place = f"Record {number} of {path}"
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return InputError(f"{place} can't be read: it holds no keys. Remove the line.")
    origin = values.get("provenance")
    code = _shown(origin.get("code", "")) if isinstance(origin, dict) else ""
    wrote = f"version {code} of this package wrote it" if code else "what wrote it is not said"
    then = "Read the run with that version, or repeat the run with this one in a new folder."
    if values.get("format", FORMAT) != FORMAT:
        format_ = _shown(values["format"])
        return InputError(f"{place} has format {format_}; this version reads format {FORMAT} ({wrote}). {then}")
    unknown = sorted(values.keys() - TrialRecord.model_fields.keys())
    if unknown:
        names = ", ".join(map(_shown, unknown[:5])) + (" and more" if len(unknown) > 5 else "")
        return InputError(f"{place} has fields that this version does not know: {names} ({wrote}). {then}")
    fault = f"{error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        fault = f"{first['msg']} (at {'.'.join(_shown(key) for key in first['loc']) or 'the whole line'})"
    return InputError(
        f"{place} can't be read: {fault}. This version reads format {FORMAT} ({wrote}). Mend or remove the line, or "
        "use the version that wrote it."
    )


def _shown(value: Any) -> str:
    """A value of a file that nobody vouches for, fit for a line of a message."""
    return ascii(str(value)[:60])[1:-1]

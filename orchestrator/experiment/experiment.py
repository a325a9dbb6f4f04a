"""The experiment file: what is compared, on which data, for how long. Validated before any work starts."""

from itertools import count
from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from orchestrator.data.picture_size import sides
from orchestrator.data.plotting.plot_style import style_code
from orchestrator.data.split.settings import LARGEST_SEED
from orchestrator.experiment.ablation_settings import Ablation
from orchestrator.experiment.ensemble_settings import Ensemble, check_entries
from orchestrator.experiment.key_types import takes_text
from orchestrator.experiment.messages import explain
from orchestrator.experiment.own_parts import beside
from orchestrator.experiment.search_methods import SAMPLERS, SCHEDULERS, SamplerName, SchedulerName
from orchestrator.experiment.sections import (
    Budget,
    Data,
    Objective,
    Precision,
    Resources,
    Section,
    Threshold,
    Tracking,
    Variant,
)
from orchestrator.experiment.set_key import set_key
from orchestrator.experiment.yaml_text import file_text, read_yaml, write_yaml
from orchestrator.families import code_of, is_cheap
from orchestrator.scoring.metric_table import metric_code
from trainables.credentials import HOLDS_CREDENTIALS, holds_credentials
from trainables.errors import InputError
from trainables.files import json_sha256
from trainables.own_code import expanded

FREE_KEYS = (
    "budget.trials",
    "budget.minutes",
    "budget.epoch_minutes",
    "budget.concurrent",
    "resources.cpus",
    "resources.gpus",
    "resources.storage",
    "heat_maps",
    "mirror",
    "data.split.repeats",
)
"""What may differ when a run goes on: how much and on what, never what it means. All of `ablation`, `ensembles` and
`tracking` may, too."""
PLACE_KEYS = ("data.path", "data.store")
"""Where things lie, which is not what they are: they may differ when a run goes on whose data are proven the same."""
FIRST_TRIAL_SEED = 1_000
"""Far from the seeds that people count up for the final trainings, which may become more as a run goes on."""
LATER_KEYS: dict[str, str | int | list[str] | None] = {
    "sampler": "tpe",
    "ensembles": [],
    "data.gaps": "drop",
    "data.decimal": "auto",
    "data.bits": None,
    "data.split.near_duplicates": "count",
    "data.split.repeats": 1,
    "data.split.folds": None,
    "data.split.number": None,
    "budget.searches": "each",
    "resources.storage": "auto",
    "objective.winner": "best",
    "tracking.tensorboard": False,
    "tracking.mlflow": None,
    "tracking.wandb": None,
    "objective.constraints.latency_ms": None,
    "objective.constraints.memory_mb": None,
    "resources.workers": 1,
    **dict.fromkeys(
        (f"precision.{key}" for key in ("dtype", "tf32", "channels_last", "compile", "cuda_graphs", "fused")),
        "auto",
    ),
}
"""Keys that came after runs were begun without them, and the value that means what these did."""


class Experiment(Section):
    """The whole file."""

    data: Data
    families: tuple[Variant, ...] = Field(min_length=1, description="The variants that are compared.")
    baseline: str = Field(default="", description="The variant all are compared with; unset: the first cheap one.")
    objective: Objective = Field(default_factory=Objective)
    threshold: Threshold = Field(default_factory=Threshold)
    budget: Budget = Field(default_factory=Budget)
    resources: Resources = Field(default_factory=Resources)
    precision: Precision = Field(default_factory=Precision)
    scheduler: SchedulerName = Field(
        default="asha", description="; ".join(f"{row.name}: {row.summary}" for row in SCHEDULERS.values()) + "."
    )
    sampler: SamplerName = Field(
        default="tpe", description="; ".join(f"{row.name}: {row.summary}" for row in SAMPLERS.values()) + "."
    )
    seeds: tuple[StrictInt, ...] = Field(
        default=(0, 1, 2, 3, 4),
        min_length=1,
        description="Seeds of the final trainings; they never change the split. Trials train with another one.",
    )
    ablation: Ablation | None = Field(
        default=None, description="What `orchestrate ablate` compares: one configuration, and what is changed of it."
    )
    ensembles: tuple[Ensemble, ...] = Field(
        default=(),
        description="Models that answer together, judged on the scores that are kept of them; each is a row of the "
        "leaderboard. Without any: none.",
    )
    heat_maps: StrictBool = Field(
        default=False, description="Write heat map, mask and overlay of every test picture, for families with maps."
    )
    mirror: str | None = Field(
        default=None,
        description="A URI to which finished records and models are copied. Its credentials belong in the environment "
        "(AWS_ACCESS_KEY_ID, …).",
    )
    tracking: Tracking = Field(
        default_factory=Tracking, description="Where the curves go beside the report: TensorBoard, MLflow, wandb."
    )

    @field_validator("mirror")
    @classmethod
    def _without_credentials(cls, mirror: str | None) -> str | None:
        if mirror is not None and holds_credentials(mirror):
            raise PydanticCustomError("secret", HOLDS_CREDENTIALS)
        return mirror

    @field_validator("families", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One family alone, or names with commas between, as a list."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",")]
        return [value] if isinstance(value, dict) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, int):
            raise ValueError("must be a list: [3] is the one seed 3, and [0, 1, 2] are three seeds")
        return value

    @model_validator(mode="after")
    def _shared_trainings(self) -> Self:
        alone = [key for key in ("compile", "cuda_graphs", "fused") if getattr(self.precision, key) is True]
        if alone and self.resources.workers > 1:
            raise ValueError(
                f"precision.{alone[0]} is true and resources.workers {self.resources.workers}: a training that workers "
                f"share is neither compiled, nor captured, nor stacked; leave out precision.{alone[0]}, or set "
                "resources.workers to 1"
            )
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [variant.name for variant in self.families]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"names must differ, and {', '.join(repeated)} stands twice; give each variant a `name`")
        named = [*names, *(one.name for one in self.ensembles)]
        if self.baseline and self.baseline not in named:
            raise ValueError(f"baseline is {self.baseline!r}; it must be the name of a variant: {', '.join(named)}")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0 or max(self.seeds) > LARGEST_SEED:
            raise ValueError(
                f"seeds are {list(self.seeds)}; they must be different whole numbers from 0 to {LARGEST_SEED:,}"
            )
        check_entries(self.ensembles, names, self.seeds)
        if self.ablation is not None:
            self.ablation.check(tuple(names), self.baseline_name, len(self.seeds))
        return self

    @property
    def trial_seed(self) -> int:
        """That the trials of a run train with which begins now: the first from FIRST_TRIAL_SEED on that no final
        training has."""
        return next(seed for seed in count(FIRST_TRIAL_SEED) if seed not in self.seeds)

    @property
    def baseline_name(self) -> str:
        """The variant, or the ensemble, that all are compared with."""
        cheap = [variant.name for variant in self.families if is_cheap(variant.family)]
        return self.baseline or (cheap or [self.families[0].name])[0]

    def of_split(self, number: int) -> Self:
        """The same of one of its repeated splits, by its number: of the first as it is, which has the run's folder."""
        if self.data.split.number is not None or number == 1:
            return self
        split = self.data.split.model_copy(update={"number": number})
        return self.model_copy(update={"data": self.data.model_copy(update={"split": split})})

    def variant(self, name: str) -> Variant:
        """The variant of that name."""
        return next(variant for variant in self.families if variant.name == name)

    def size_of(self, variant: Variant) -> tuple[int, int]:
        """(height, width) of the pictures that a variant sees."""
        return sides(self.data.size if variant.size is None else variant.size)

    def epochs_of(self, variant: Variant) -> int:
        """The most epochs of one training of a variant."""
        return variant.epochs or self.budget.epochs

    @property
    def fingerprint(self) -> str:
        """A hash of all in the file that decides what a trial gives: of the seeds the first, and not where data lie."""
        return self._hash(PLACE_KEYS)

    @property
    def placed_fingerprint(self) -> str:
        """The same with where the data lie, as earlier versions wrote it into records."""
        return self._hash(())

    def _hash(self, left_out: tuple[str, ...]) -> str:
        told = flat(self.model_dump(mode="json"))
        unsaid = {key for key, value in LATER_KEYS.items() if told.get(key) == value}
        meant = {key: told[key] for key in told if not is_free(key) and key not in {"seeds", *unsaid, *left_out}}
        return json_sha256({**meant, "seed": self.seeds[0]})[:16]

    @property
    def own_drawing_and_judging(self) -> tuple[str, ...]:
        """The user's own style and metrics, as records say them: all trials and cells share them."""
        goal = self.objective
        metrics = {metric_code(name) for name in (goal.metric, goal.test_metric) if name is not None}
        return tuple(sorted({style_code(self.data.style), *metrics} - {""}))

    @property
    def own_code(self) -> tuple[str, ...]:
        """What records should say of the user's own families, metrics and style: each with its file's SHA-256."""
        families = {variant.family for variant in self.families}
        if self.ablation is not None:
            families |= {row.family for row in self.ablation.variants if row.family is not None}
        return tuple(sorted({*map(code_of, families), *self.own_drawing_and_judging} - {""}))

    def to_yaml(self) -> str:
        """The file with every default written out."""
        return write_yaml(self.model_dump(mode="json"))

    @classmethod
    def from_mapping(cls, values: dict[str, Any], source: str = "The experiment") -> Self:
        """Validate; InputError with a line for each thing that is wrong."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, cls, source)) from None

    @classmethod
    def load(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Self:
        """Read a YAML file and apply `KEY=VALUE` overrides.

        A relative `data.path`, and files of one's own code, are looked for beside the file, then in the current folder.
        """
        path = Path(path)
        try:
            values = read_experiment(path)
        except FileNotFoundError:
            raise InputError(f"There is no experiment file {path}. Write one with: orchestrate init {path}") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"The experiment file {path} can't be read: {why}.") from None
        if not isinstance(values, dict):
            raise InputError(f"The experiment file {path} holds no keys. See a full one with: orchestrate init FILE")
        for override in overrides:
            set_key(values, override, cls)
        experiment = cls.from_mapping(beside(values, path.resolve().parent), str(path))
        given = expanded(experiment.data.path)
        near = path.resolve().parent / given
        try:
            found = near if near.exists() else Path.cwd() / given
        except OSError as error:  # a folder on the way there that may not be looked into
            raise InputError(f"data.path is {str(given)!r}, which can't be reached: {error.strerror}.") from None
        return experiment.model_copy(update={"data": experiment.data.model_copy(update={"path": found.resolve()})})


def read_experiment(path: Path) -> Any:
    """What an experiment's file holds, names as they are written; OSError, or ValueError that says what is wrong."""
    return read_yaml(file_text(path), lambda place: takes_text(Experiment, place))


def schema() -> dict[str, Any]:
    """The experiment file's JSON schema, for editors that complete and check YAML."""
    return Experiment.model_json_schema()


def is_free(key: str) -> bool:
    """Whether a key, with its parents joined by dots, may differ when a run goes on."""
    return key in FREE_KEYS or key.split(".")[0] in ("ablation", "ensembles", "tracking")


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots; entries of a list of sections by their name."""
    if isinstance(values, dict):
        pairs = list(values.items())
    elif isinstance(values, list) and any(isinstance(value, dict) for value in values):
        pairs = [(value.get("name", str(index)), value) for index, value in enumerate(values)]
    else:
        return {prefix: values}
    joined: dict[str, Any] = {}
    for key, value in pairs:
        joined |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return joined

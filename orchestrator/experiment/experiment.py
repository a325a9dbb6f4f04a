"""The experiment file: what is compared, on which data, for how long. Validated before any work starts."""

from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from orchestrator.data.files.series import DecimalMark, Gaps
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.picture_size import Size, checked_size, sides
from orchestrator.data.plotting.plot_style import STYLES, style_code, style_name
from orchestrator.data.split.settings import LARGEST_SEED, SplitSettings
from orchestrator.experiment.ablation_settings import Ablation
from orchestrator.experiment.key_types import takes_text
from orchestrator.experiment.messages import explain
from orchestrator.experiment.own_parts import beside
from orchestrator.experiment.search_methods import SAMPLERS, SCHEDULERS, SamplerName, SchedulerName
from orchestrator.experiment.set_key import set_key
from orchestrator.experiment.value_types import Cpus, FilePath, Gpus, Minutes, Number, Work
from orchestrator.experiment.yaml_text import file_text, read_yaml, write_yaml
from orchestrator.families import FAMILIES, code_of, family_name, is_cheap, variant_name
from orchestrator.scoring.metric_table import metric_code
from orchestrator.scoring.thresholds import ThresholdMetric, parse_strategy
from trainables.credentials import HOLDS_CREDENTIALS, holds_credentials
from trainables.errors import InputError
from trainables.files import json_sha256
from trainables.interface import Mode
from trainables.own_code import absolute_callable, expanded, is_own

FREE_KEYS = (
    "budget.trials",
    "budget.minutes",
    "budget.epoch_minutes",
    "budget.concurrent",
    "resources.cpus",
    "resources.gpus",
    "heat_maps",
    "mirror",
)
"""What may differ when a run goes on: how much and on what, never what it means. All of `ablation` may, too."""
PLACE_KEYS = ("data.path", "data.store")
"""Where things lie, which is not what they are: they may differ when a run goes on whose data are proven the same."""
LATER_KEYS: dict[str, str | None] = {"sampler": "tpe", "data.gaps": "drop", "data.decimal": "auto", "data.bits": None}
"""Keys that came after runs were begun without them, and the value that means what these did."""
VARIANT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Section(BaseModel):
    """A part of the file: unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Where the data lie and how they become pictures."""

    path: FilePath = Field(description="The folder of CSVs or pictures.")
    layout: LayoutName = Field(
        default="series",
        description=f"{'; '.join(f'{row.name}: {row.summary}' for row in LAYOUTS.values())}. See what is understood: "
        "orchestrate inspect.",
    )
    normal: str | None = Field(
        default=None,
        description="Detection on class folders "
        f"({', '.join(name for name, row in LAYOUTS.items() if row.normal is None)}): "
        "the class that is normal; all others are anomalies.",
    )
    column: str | None = Field(
        default=None, description="The CSV column to plot. Unset: `data`, else `value`, else the first."
    )
    gaps: Gaps = Field(
        default="drop",
        description="Rows of a CSV without a number: drop (the rest moves left), break (the line has a gap there), "
        "interpolate (between their neighbours).",
    )
    decimal: DecimalMark = Field(
        default="auto",
        description="The decimal mark of CSVs: auto (what all numbers of a file together say), or point or comma, "
        "where numbers such as 1.234 or 1,234 leave it in doubt.",
    )
    style: str = Field(
        default="seed",
        description=f"How a series is drawn. {'; '.join(f'{row.name}: {row.summary}' for row in STYLES.values())}; or "
        "one of your own: path/to/file.py:STYLE.",
    )
    size: Size = Field(default=224, description="The pictures' size in pixels: N or [height, width].")
    bits: StrictInt | None = Field(
        default=None,
        ge=8,
        le=16,
        description="Of pictures of more than 8 bits a channel: how many they use, 12 say, so that 4095 is white. "
        "Unset: chosen from the largest value of all, and said.",
    )
    store: FilePath | None = Field(
        default=None, description="Where the pictures are kept, to be shared by several runs; unset: in the run."
    )
    split: SplitSettings = Field(default_factory=SplitSettings, description="The shares of the three parts.")

    @field_validator("size")
    @classmethod
    def _size_in_range(cls, size: Size) -> Size:
        return checked_size(size)

    @model_validator(mode="after")
    def _bits_of_pictures(self) -> Self:
        if self.bits is not None and LAYOUTS[self.layout].plots:
            raise ValueError("bits is for pictures, and plots of series have 8; leave it out")
        return self

    @field_validator("style")
    @classmethod
    def _known_style(cls, style: str) -> str:
        return style_name(style)


class Variant(Section):
    """One entry of the comparison: a family, possibly with some of its keys fixed or searched elsewhere."""

    family: str = Field(
        description=f"One of: {', '.join(FAMILIES)}; or one of your own: path/to/file.py:FAMILY, module:FAMILY, or the "
        "name that an installed package gives it."
    )
    name: str = Field(default="", pattern=r"^$|" + VARIANT_NAME, description="Its name in tables; unset: the family's.")
    fixed: dict[str, Any] = Field(
        default_factory=dict, description="Configuration keys with one value, not searched (backbone: resnet50)."
    )
    space: dict[str, Any] = Field(
        default_factory=dict,
        description="Searched keys with other ranges: {low, high, log, step}, or a list of choices.",
    )
    size: Size | None = Field(default=None, description="This variant's own picture size; unset: data.size.")
    epochs: Work | None = Field(default=None, description="This variant's own most epochs; unset: budget.epochs.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        value = {"family": value} if isinstance(value, str) else value
        if not isinstance(value, dict | Variant):
            raise ValueError("must be a family's name, or keys with values of which one is `family`")
        if isinstance(value, dict) and not value.get("name"):
            value = {**value, "name": variant_name(str(value.get("family", "")))}
        return value

    @field_validator("family")
    @classmethod
    def _known(cls, family: str) -> str:
        return family_name(family)

    @field_validator("size")
    @classmethod
    def _size_in_range(cls, size: Size | None) -> Size | None:
        return None if size is None else checked_size(size)


class Objective(Section):
    """What the search seeks on the validation part, and what tables rank by on the test part."""

    metric: str | None = Field(
        default=None,
        description="A metric's name, such as accuracy or average_precision (orchestrate metrics lists them), one of "
        "your own (path/to/file.py:METRIC), or validation_loss. Unset: macro_f1; for detection roc_auc, or "
        "validation_loss where validation holds normals only.",
    )
    mode: Mode | None = Field(default=None, description="Unset: as the metric is better.")
    test_metric: str | None = Field(
        default=None, description="What tables rank by. Unset: the metric, or roc_auc where that is validation_loss."
    )

    @field_validator("metric", "test_metric")
    @classmethod
    def _absolute(cls, name: str | None) -> str | None:
        return absolute_callable(name, elsewhere=True) if name is not None and is_own(name) else name


class Threshold(Section):
    """Detection: how a score becomes a verdict. All of it is chosen on validation scores."""

    strategies: tuple[str, ...] = Field(
        default=(),
        description="The strategies that are compared, such as [percentile(95), youden, tpr_at_least(0.95)]; one fixes "
        "it. Unset: all that validation allows.",
    )
    metric: ThresholdMetric = Field(
        default="balanced_accuracy", description="By which the best strategy is chosen, cross-fitted on validation."
    )
    search: StrictBool = Field(
        default=False, description="Let Optuna draw the strategy as a hyperparameter instead of choosing the best."
    )
    pixel_percentile: Number = Field(
        default=99.0, gt=0, lt=100, description="Masks: the percentile of the pixels of normal validation pictures."
    )

    @field_validator("strategies")
    @classmethod
    def _known(cls, strategies: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_strategy(text).text for text in strategies)


class Budget(Section):
    """How much work the search may do."""

    trials: Work = Field(default=20, description="Trials a family.")
    epochs: Work = Field(default=30, description="The most epochs a trial.")
    minutes: Minutes | None = Field(default=None, description="Wall time of the whole search; unset: no limit.")
    epoch_minutes: Minutes | None = Field(
        default=120,
        description="A training that gives no epoch for so long hangs, and is ended; null: no limit.",
    )
    concurrent: StrictInt | None = Field(default=None, ge=1, description="Trials at a time; unset: as many as fit.")
    patience: StrictInt | None = Field(
        default=10, ge=1, description="Stop a training after so many epochs without a better validation metric."
    )


class Resources(Section):
    """What one trial reserves."""

    cpus: Cpus = Field(default=1, description="CPUs a trial; torch uses as many threads.")
    gpus: Gpus = Field(default=0, description="GPUs a trial; fractions share one.")


class Experiment(Section):
    """The whole file."""

    data: Data
    families: tuple[Variant, ...] = Field(min_length=1, description="The variants that are compared.")
    baseline: str = Field(default="", description="The variant all are compared with; unset: the first cheap one.")
    objective: Objective = Field(default_factory=Objective)
    threshold: Threshold = Field(default_factory=Threshold)
    budget: Budget = Field(default_factory=Budget)
    resources: Resources = Field(default_factory=Resources)
    scheduler: SchedulerName = Field(
        default="asha", description="; ".join(f"{row.name}: {row.summary}" for row in SCHEDULERS.values()) + "."
    )
    sampler: SamplerName = Field(
        default="tpe", description="; ".join(f"{row.name}: {row.summary}" for row in SAMPLERS.values()) + "."
    )
    seeds: tuple[StrictInt, ...] = Field(
        default=(0, 1, 2, 3, 4), min_length=1, description="Seeds of the final trainings; they never change the split."
    )
    ablation: Ablation | None = Field(
        default=None, description="What `orchestrate ablate` compares: one configuration, and what is changed of it."
    )
    heat_maps: StrictBool = Field(
        default=False, description="Write heat map, mask and overlay of every test picture, for families with maps."
    )
    mirror: str | None = Field(
        default=None,
        description="A URI to which finished records and models are copied. Its credentials belong in the environment "
        "(AWS_ACCESS_KEY_ID, …).",
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
    def _names_fit(self) -> Self:
        names = [variant.name for variant in self.families]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"names must differ, and {', '.join(repeated)} stands twice; give each variant a `name`")
        if self.baseline and self.baseline not in names:
            raise ValueError(f"baseline is {self.baseline!r}; it must be the name of a variant: {', '.join(names)}")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0 or max(self.seeds) > LARGEST_SEED:
            raise ValueError(
                f"seeds are {list(self.seeds)}; they must be different whole numbers from 0 to {LARGEST_SEED:,}"
            )
        if self.ablation is not None:
            self.ablation.check(tuple(names), self.baseline_name, len(self.seeds))
        return self

    @property
    def baseline_name(self) -> str:
        """The variant that all are compared with."""
        cheap = [variant.name for variant in self.families if is_cheap(variant.family)]
        return self.baseline or (cheap or [self.families[0].name])[0]

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
        unsaid = {key for key, value in LATER_KEYS.items() if told[key] == value}
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
    return key in FREE_KEYS or key.split(".")[0] == "ablation"


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

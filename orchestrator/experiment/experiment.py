"""The experiment file: what is compared, on which data, for how long. Validated before any work starts."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.picture_size import Size, checked_size, sides
from orchestrator.data.plotting.plot_style import STYLES, style_code, style_name
from orchestrator.data.split.settings import SplitSettings
from orchestrator.experiment.ablation_settings import Ablation
from orchestrator.experiment.messages import explain, set_key
from orchestrator.experiment.own_parts import beside
from orchestrator.experiment.search_methods import SAMPLERS, SCHEDULERS, SamplerName, SchedulerName
from orchestrator.families import FAMILIES, code_of, family_name, is_cheap, variant_name
from orchestrator.scoring.metric_table import metric_code
from orchestrator.scoring.thresholds import ThresholdMetric, parse_strategy
from trainables.credentials import HOLDS_CREDENTIALS, holds_credentials
from trainables.errors import InputError
from trainables.files import json_sha256
from trainables.interface import Mode
from trainables.own_code import absolute_callable, is_own

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
LATER_KEYS = {"sampler": "tpe"}
"""Keys that came after runs were begun without them, and the value that means what these did."""
VARIANT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Section(BaseModel):
    """A part of the file: unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Where the data lie and how they become pictures."""

    path: Path = Field(description="The folder of CSVs or pictures.")
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
    style: str = Field(
        default="seed",
        description=f"How a series is drawn. {'; '.join(f'{row.name}: {row.summary}' for row in STYLES.values())}; or "
        "one of your own: path/to/file.py:STYLE.",
    )
    size: Size = Field(default=224, description="The pictures' size in pixels: N or [height, width].")
    store: Path | None = Field(
        default=None, description="Where the pictures are kept, to be shared by several runs; unset: in the run."
    )
    split: SplitSettings = Field(default_factory=SplitSettings, description="The shares of the three parts.")

    @field_validator("size")
    @classmethod
    def _size_in_range(cls, size: Size) -> Size:
        return checked_size(size)

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
    epochs: int | None = Field(default=None, ge=1, description="This variant's own most epochs; unset: budget.epochs.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        value = {"family": value} if isinstance(value, str) else value
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
    search: bool = Field(
        default=False, description="Let Optuna draw the strategy as a hyperparameter instead of choosing the best."
    )
    pixel_percentile: float = Field(
        default=99.0, gt=0, lt=100, description="Masks: the percentile of the pixels of normal validation pictures."
    )

    @field_validator("strategies")
    @classmethod
    def _known(cls, strategies: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_strategy(text).text for text in strategies)


class Budget(Section):
    """How much work the search may do."""

    trials: int = Field(default=20, ge=1, description="Trials a family.")
    epochs: int = Field(default=30, ge=1, description="The most epochs a trial.")
    minutes: float | None = Field(default=None, gt=0, description="Wall time of the whole search; unset: no limit.")
    epoch_minutes: float | None = Field(
        default=120, gt=0, description="A training that gives no epoch for so long hangs, and is ended; null: no limit."
    )
    concurrent: int | None = Field(default=None, ge=1, description="Trials at a time; unset: as many as fit.")
    patience: int | None = Field(
        default=10, ge=1, description="Stop a training after so many epochs without a better validation metric."
    )


class Resources(Section):
    """What one trial reserves."""

    cpus: float = Field(default=1, gt=0, description="CPUs a trial; torch uses as many threads.")
    gpus: float = Field(default=0, ge=0, description="GPUs a trial; fractions share one.")


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
    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2, 3, 4), min_length=1, description="Seeds of the final trainings; they never change the split."
    )
    ablation: Ablation | None = Field(
        default=None, description="What `orchestrate ablate` compares: one configuration, and what is changed of it."
    )
    heat_maps: bool = Field(
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

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [variant.name for variant in self.families]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"names must differ, and {', '.join(repeated)} stands twice; give each variant a `name`")
        if self.baseline and self.baseline not in names:
            raise ValueError(f"baseline is {self.baseline!r}; it must be the name of a variant: {', '.join(names)}")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds are {list(self.seeds)}; they must be different whole numbers from 0 on")
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
        """A hash of all in the file that decides what a trial gives; of the seeds, that is the first."""
        told = flat(self.model_dump(mode="json"))
        unsaid = {key for key, value in LATER_KEYS.items() if told[key] == value}
        meant = {key: value for key, value in told.items() if not is_free(key) and key not in {"seeds", *unsaid}}
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
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

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
            values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise InputError(f"There is no experiment file {path}. Write one with: orchestrate init {path}") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"The experiment file {path} can't be read as YAML: {error}") from None
        if not isinstance(values, dict):
            raise InputError(f"The experiment file {path} holds no keys. See a full one with: orchestrate init FILE")
        for override in overrides:
            set_key(values, override)
        experiment = cls.from_mapping(beside(values, path.resolve().parent), str(path))
        given = experiment.data.path.expanduser()
        near = path.resolve().parent / given
        found = near if near.exists() else Path.cwd() / given
        return experiment.model_copy(update={"data": experiment.data.model_copy(update={"path": found.resolve()})})


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

"""The sections of the experiment file: data, variants, objective, threshold, budget, resources."""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from orchestrator.data.files.series import DecimalMark, Gaps
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.picture_size import Size, checked_size
from orchestrator.data.plotting.plot_style import STYLES, style_name
from orchestrator.data.split.settings import SplitSettings
from orchestrator.experiment.value_types import VARIANT_NAME, Cpus, FilePath, Gpus, Minutes, Number, Positive, Work
from orchestrator.families import FAMILIES, family_name, variant_name
from orchestrator.scoring.thresholds import ThresholdMetric, parse_strategy
from trainables.credentials import HOLDS_CREDENTIALS, holds_credentials
from trainables.interface import Mode
from trainables.own_code import absolute_callable, is_own
from trainables.speed import Limits


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


class Constraints(Section):
    """What a model may take where it is to be used. Measured on the worker that trains it."""

    latency_ms: Positive | None = Field(
        default=None, description="Milliseconds at most for one picture that is scored alone, as it lies in memory."
    )
    memory_mb: Positive | None = Field(
        default=None,
        description="Megabytes (10⁶ bytes) at most of the model's numbers with what scoring one picture takes beyond.",
    )


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
    winner: Literal["best", "beats_default"] = Field(
        default="best",
        description="What a search ends with. best: the best trial on validation. beats_default: the family's defaults "
        "(with `fixed`) are the first trial, and are kept unless the best trial's lead on validation is more than "
        "chance explains, as the largest lead of so many trials.",
    )

    constraints: Constraints = Field(
        default_factory=Constraints,
        description="What every winner has to keep to. Each trial is measured after its first epoch; tpe draws fewer "
        "configurations beyond it, and no trial beyond it is chosen.",
    )

    @property
    def limits(self) -> Limits:
        """The same for who measures."""
        return Limits(latency_ms=self.constraints.latency_ms, memory_mb=self.constraints.memory_mb)

    @property
    def default_first(self) -> bool:
        """Whether the first trial of a search is the family's default configuration, which the best has to beat."""
        return self.winner == "beats_default"

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
        default="balanced_accuracy",
        description="By which the best strategy is chosen on validation, cross-fitted where it holds anomalies enough.",
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
    minutes: Minutes | None = Field(
        default=None, description="Wall time of the whole search, on each split; unset: no limit."
    )
    searches: Literal["each", "first"] = Field(
        default="each",
        description="With data.split.repeats or folds: each (every split has its own search), or first (all splits "
        "train the winners of the first one's, whose search has seen what others test on; tables say so).",
    )
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

    cpus: Cpus = Field(
        default="auto",
        description="CPUs a trial; torch uses as many threads. auto: on CPUs so many that the trials beside each other "
        "fill the machine, on a GPU 1.",
    )
    gpus: Gpus = Field(
        default="auto",
        description="GPUs a trial; fractions share one; 0: CPUs. auto: where there is a GPU, it, for the families that "
        "gain by one; else CPUs.",
    )
    workers: StrictInt = Field(
        default=1,
        ge=1,
        description="Workers that share each training, over several GPUs or machines, each with `cpus` and `gpus` of "
        "its own. The batch size of a configuration is each worker's: 2 workers of batch 16 take the steps that one "
        "takes with batch 32.",
    )
    storage: Literal["auto", "shared", "shipped"] = Field(
        default="auto",
        description="On a cluster: how files reach its machines. shared: all see the run's folder, the data and the "
        "store at the same paths; shipped: pictures, states and models travel by Ray; auto: shared where that is so.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"cpus": value, "gpus": value} if value == "auto" else value


class Tracking(Section):
    """Who else is told of each epoch and each training while the run works; it is no part of what the run is."""

    tensorboard: StrictBool = Field(default=False, description="Write TensorBoard's files to RUN/tensorboard.")
    mlflow: str | None = Field(
        default=None,
        description="The URI of an MLflow server or database (http://HOST:5000, sqlite:///FILE). Its credentials "
        "belong in the environment (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN).",
    )
    wandb: str | None = Field(
        default=None,
        min_length=1,
        description="A project of Weights & Biases, or ENTITY/PROJECT. The key belongs in the environment "
        "(WANDB_API_KEY); WANDB_MODE=offline needs none.",
    )

    @field_validator("mlflow")
    @classmethod
    def _without_credentials(cls, uri: str | None) -> str | None:
        if uri is not None and holds_credentials(uri):
            raise PydanticCustomError("secret", HOLDS_CREDENTIALS)
        return uri

    @property
    def asked(self) -> bool:
        """Whether there is any."""
        return self.tensorboard or self.mlflow is not None or self.wandb is not None


Switch = Literal["auto"] | StrictBool


class Precision(Section):
    """How networks compute, the same for all variants. What is `auto` is tried once, before the first search."""

    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto: bfloat16 where the device computes in it itself and is faster by it, else float32. It "
        "changes figures a little.",
    )
    tf32: Switch = Field(
        default="auto",
        description="GPUs: multiply float32 with 10 bits of mantissa; auto: where the GPU has it. It changes figures a "
        "little.",
    )
    channels_last: Switch = Field(default="auto", description="The layout of pictures and weights; auto: the faster.")
    compile: Switch = Field(
        default="auto", description="torch.compile; auto: on a GPU, where it pays within one training."
    )
    cuda_graphs: Switch = Field(
        default="auto",
        description="GPUs: replay the training step of networks of up to 5 million parameters as one graph; auto: "
        "where that is faster.",
    )
    fused: Switch = Field(
        default="auto",
        description="Train the seeds of one configuration as one stacked network, of up to 5 million parameters each; "
        "auto: on a GPU, where that takes little longer than training one of them.",
    )

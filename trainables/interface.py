"""The words every family speaks: Samples, FamilyConfig, Problem, Prediction, Epoch, Model; Family ties them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from trainables.cache import Cache
from trainables.own_code import OwnRow

if TYPE_CHECKING:  # the checks before a run read this module, and torch costs seconds
    import torch
    from torch import nn

    from trainables.training.span import Span

Task = Literal["classification", "detection"]
Mode = Literal["max", "min"]
"""Which way a figure is better."""
SCALED = "pixels / 255"
"""How pictures become numbers where a family does no more."""
UNKNOWN = -1
"""The label of a picture of which nothing else is known: it can be scored, not trained with or graded."""


class Pictures(Protocol):
    """uint8 pictures (N, H, W, C), in memory or mapped from disk. A NumPy array is one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The pictures at `rows`, as a new array (len(rows), H, W, C)."""
        ...


class Depths(Protocol):
    """float32 depth maps (N, H, W), in memory or mapped from disk. A NumPy array is one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """The depth maps at `rows`, as a new array (len(rows), H, W), in the file's own units; NaN where unknown."""
        ...


@dataclass(frozen=True)
class Samples:
    """The pictures of one part of the data, with what is known about each."""

    pictures: Pictures
    labels: NDArray[np.int64]
    """(N,): the index into `classes`; for detection 0 is normal and 1 is anomalous. UNKNOWN: not known."""
    classes: tuple[str, ...]
    """For detection ("normal", "anomaly"); what kind of anomaly each is stands in `kinds`."""
    paths: tuple[str, ...]
    """(N,): each picture's path relative to the data's root; its identity in reports."""
    depth: Depths | None = None
    """Of RGB-D data."""
    masks: Pictures | None = None
    """(N, H, W) uint8: 255 where a defect is, else 0. All 0 where `masked` is False."""
    masked: NDArray[np.bool_] | None = None
    """(N,): True where the mask is known: for every normal picture, and for anomalies with a mask that is not empty."""
    kinds: tuple[str, ...] = ()
    """(N,): detection: the class that the data's folders name, such as good, crack or hole."""
    groups: tuple[str, ...] = ()
    """(N,): the source picture of each, which patches of one picture share; empty: each is its own."""

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64]) -> Samples:
        """The samples at `rows` alone, read into memory."""
        return Samples(
            pictures=self.pictures[rows],
            labels=self.labels[rows],
            classes=self.classes,
            paths=tuple(self.paths[row] for row in rows),
            depth=None if self.depth is None else self.depth[rows],
            masks=None if self.masks is None else self.masks[rows],
            masked=None if self.masked is None else self.masked[rows],
            kinds=tuple(self.kinds[row] for row in rows) if self.kinds else (),
            groups=tuple(self.groups[row] for row in rows) if self.groups else (),
        )


class FamilyConfig(BaseModel):
    """One configuration of a family. Every field is a key that an experiment's `fixed` may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def check_files(self) -> None:
        """InputError where the configuration names a file that is not there. Imports no torch: it is asked first.

        Not when a configuration is made: that of a kept model may name weights which are gone, and needs none.
        """


@dataclass(frozen=True)
class Precision:
    """How the networks of a run compute, all alike. As it stands: in float32, as torch does by itself."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: networks compute in it (autocast) where the device does so itself. Weights stay float32."""
    tf32: bool | None = None
    """Whether a GPU multiplies float32 with 10 bits of mantissa; None: torch's own rule."""
    channels_last: bool = True
    compile: bool = False
    """Train with what torch.compile makes of a network, where it can."""
    cuda_graphs: bool = False
    """Replay the training step of small networks as one CUDA graph, where it can be captured."""
    fused: bool = False
    """Train the seeds of one small network as one stacked network, where it can be stacked."""


@dataclass(frozen=True)
class Problem:
    """What a model is built for, known before training starts."""

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(H, W, C) of every picture."""
    epochs: int
    """The most epochs `fit` may yield."""
    device: str = "cpu"
    """A torch device: "cpu" or "cuda"."""
    depth: bool = False
    """Whether the samples have depth."""
    cache: Cache | None = None
    """For what several trainings share, found again by its key; None: nothing is shared."""
    data: str = ""
    """A fingerprint of the training and validation samples: pictures, size and split. Part of every key in `cache`."""
    precision: Precision = Precision()
    """How networks compute."""
    followed: tuple[float, ...] = ()
    """Validation losses by epoch, of another training, which a schedule follows instead of its own: where validation
    samples are trained on, their loss says nothing. Empty, or beyond its end: its own."""
    pulse: Callable[[], object] = field(default=bool, compare=False)
    """To be called now and then by a training that works, or waits, long before an epoch: it does not hang."""
    span: Span | None = field(default=None, compare=False)
    """The processes that train it together, of which this is one; None: it trains by itself."""


@dataclass(frozen=True)
class Prediction:
    """What a family says of N samples. It holds no labels and no verdict."""

    scores: NDArray[np.float64]
    """Classification: class probabilities (N, C). Detection: anomaly scores (N,), higher is stranger."""
    maps: NDArray[np.float32] | None = None
    """Detection, where the family can: anomaly maps (N, H, W), higher is stranger, one scale for all pictures."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training gave."""

    losses: Mapping[str, float]
    """Finite floats by name: train_loss; validation_loss, for detection of the normals alone; and, where validation
    holds anomalies, anomaly_loss."""
    validation: Prediction
    """The scores of the validation samples at the end of this epoch, for the caller to grade.

    Maps are given only where the samples have masks to grade them by.
    """
    last: bool = False
    """True where the family itself will not go on."""


@dataclass(frozen=True)
class Gallery:
    """Pictures that show what a model does, for the report."""

    title: str
    """What is to be seen, as a caption that stands alone."""
    rows: tuple[tuple[str, NDArray[np.uint8]], ...]
    """(label, pictures (K, h, w, 3)): shown one below the other, of one K where they belong together."""


class Model(Protocol):
    """One configuration of a family, built with a seed, that can be trained, stopped, continued and kept."""

    @property
    def parameters(self) -> int:
        """How many numbers the model holds that come from data or from initialisation."""
        ...

    def facts(self) -> dict[str, str]:
        """What a record should say of how this model came to be, such as the weights it started from."""
        ...

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train, yielding after each epoch; the caller decides whether to go on.

        After `load` of a state saved between epochs it goes on with the next epoch, to the same result
        as if it had never stopped (to the last bit on a CPU).
        """
        ...

    def predict(self, samples: Samples) -> Prediction:
        """The scores of `samples`, with the weights as they are now."""
        ...

    def gallery(self, samples: Samples) -> list[Gallery]:
        """What to show of this model beside its figures, made from a handful of validation samples; mostly nothing."""
        ...

    def state(self) -> dict[str, Any]:
        """All that resuming needs (weights, optimiser, scheduler, random states, epoch).

        Holds only what `torch.load(weights_only=True)` reads: tensors, numbers, strings, and lists and dicts of them.
        """
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of all that `predict` needs, by name, on the CPU: what is kept of a trained model."""
        ...

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take back `weights`; `predict` then gives the same scores again."""
        ...


class Frozen(Protocol):
    """What of a model never changes while it is trained, so that it can be computed before, and once for many."""

    def missing(self, samples: Samples) -> list[NDArray[np.int64]]:
        """Stretches of the rows of `samples` that are still to be computed."""
        ...

    def fill(self, samples: Samples, rows: NDArray[np.int64]) -> None:
        """Compute these rows and keep them where trainings find them. Raises OSError where there is no room."""
        ...


@dataclass(frozen=True)
class Family(OwnRow):
    """A kind of model: how it is configured and how it is built."""

    name: str
    task: Task
    config: type[FamilyConfig]
    build: Callable[[Any, Problem, int], Model]
    """(configuration, problem, seed) -> an untrained model. The same seed gives the same model."""
    check: Callable[[Any, Problem], list[str]] = field(default=lambda config, problem: [])
    """(configuration, problem) -> remarks to say aloud before any work starts (such as: random initialisation).

    Fast, and needs no device. Raises InputError where this configuration can't be built for this problem here:
    weights that can't be had, a picture size that the architecture does not take.
    """
    loss_keys: tuple[str, ...] = ()
    """The keys that change what validation_loss means, so that no search may choose them by it."""
    seeded: bool = True
    """False where nothing is random: every seed gives one model, to the last bit, and it is trained once for all."""
    single_epoch: bool = False
    """Whether `fit` yields one epoch, the last, however many are asked for."""
    scoring_keys: tuple[str, ...] = ()
    """The keys that change no weights, and in a family of several epochs no loss: only what `predict` makes of them."""
    blank: Callable[[Any], Any] = field(default=lambda config: config)
    """configuration -> the same without what only an untrained start needs (pretrained weights), for `load_weights`."""
    frozen: Callable[[Any, Samples], Frozen | None] | None = None
    """(untrained model, training part) -> what of the model is frozen, to be computed before the first training; None:
    nothing is."""
    stackable: Callable[[Any, Samples, Samples], AbstractContextManager[Any]] | None = None
    """(untrained model, training part, validation part) -> while the block runs, the EpochLoop that takes the epochs of
    `fit` is ready for them: models that differ by their seeds may train as one stacked network. None: they may not."""
    normalisation: Callable[[Any], str] = field(default=lambda config: SCALED)
    """configuration -> how the values of a picture become what the network takes, for those who rebuild it."""
    module: Callable[[Any], nn.Module] | None = None
    """(trained model) -> its `predict` as one module in evaluation mode, for export, in float32 or float64 whatever the
    model computed in: pictures (B, H, W, C) of the trained size, 0 to 255 in any dtype -> class probabilities (B, C);
    or anomaly scores (B,); or, of a model with maps, scores (B,) and maps (B, H, W). What it computes hangs neither on
    the value of a picture nor on B. Raises InputError where this configuration can't be one. None: none can."""
    spans: bool = False
    """Whether one training may run over several processes (`resources.workers`): its epochs are those of EpochLoops."""
    gpu: bool = True
    """Whether it trains on a GPU where there is one, unless the experiment says. False: it computes on CPUs alone."""
    suggest: Callable[[Any], Mapping[str, Any]] | None = None
    """Of a family of one's own: what a search varies, as a module of `search_spaces` says it. None: nothing."""

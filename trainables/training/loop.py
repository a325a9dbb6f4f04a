"""The epoch loop that every torch family trains with: seeded, resumable, and scored as it goes."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.configurations.training import TrainingConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Prediction, Problem, Samples, Task
from trainables.training.batches import Batches, labels_of
from trainables.training.graphed_step import SMALL, GraphedStep, Step
from trainables.training.loss_mean import LossMean
from trainables.training.precision import computing, first_line, in_bfloat16, precision_name
from trainables.training.precision import has_mixed_precision as has_mixed_precision
from trainables.training.span import Share
from trainables.training.spanned_network import SpannedNetwork, by_whole_batches

Augment = Callable[..., Tensor]
"""(pictures (B, C, H, W), generator) -> changed ones. One that `shares` takes, as third, the share of a batch that the
pictures are, and draws for all of it."""
Fetch = Callable[[Samples, NDArray[np.int64]], Tensor]
"""(samples, rows) -> the network's float32 input (B, ...) for these rows, on the device."""

SCORING_BATCH = 128


class Objective(Protocol):
    """What a network is trained for. `output` is whatever the network gives for a batch.

    An attribute `numbers`, where it has one, names those of its attributes that are numbers and may differ between
    networks that are trained together.
    """

    def losses(self, output: Any, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each sample's loss (B,) and how much it counts (B,); the batch's loss is their weighted mean."""
        ...

    def scores(self, output: Any, pictures: Tensor) -> Tensor:
        """What `Prediction.scores` holds for this batch: (B, C) or (B,), finite."""
        ...

    def maps(self, output: Any, pictures: Tensor) -> Tensor | None:
        """What `Prediction.maps` holds for this batch: (B, H, W), finite; None for an objective without maps."""
        ...


class Apart(Exception):
    """Why networks can't be trained together."""


class Group(Protocol):
    """Loops that take their epochs together."""

    count: int
    """How many they are, or were."""

    def turn(
        self, loop: "EpochLoop", train: Samples, validation: Samples
    ) -> tuple[float, dict[str, float], Prediction]:
        """Training loss, validation losses by name and validation scores of the next epoch of one of them.

        Raises Apart where they can't be stacked: each then takes its epochs by itself.
        """
        ...

    def leave(self, loop: "EpochLoop") -> None:
        """One has ended."""
        ...


class EpochLoop:
    """Trains one network and scores with it. All randomness of epoch e comes from (seed, e).

    For detection it is handed normal pictures alone to train on, and the scheduler follows the loss of normals.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        problem: Problem,
        seed: int,
        augment: Augment | None = None,
        fetch: Fetch | None = None,
        task: Task = "classification",
        scoring_batch: int = SCORING_BATCH,
        slower: tuple[nn.Module, float] | None = None,
    ) -> None:
        """`fetch` replaces the pictures, as float32 (B, C, H, W) in [0, 1], by another input.

        `slower`: a part of the network, and what the learning rate is multiplied by there.
        """
        self.device = torch.device(problem.device)
        self.precision, self.bfloat16 = problem.precision, in_bfloat16(config.mixed_precision, problem)
        self.layout = torch.channels_last if self.precision.channels_last else torch.contiguous_format
        self.network = network.to(self.device).to(memory_format=self.layout)
        self.span = problem.span
        self.spanned: SpannedNetwork | None = None
        if self.span is not None:
            by_whole_batches(self.network, self.device)
        # One that is compiled or captured does not wait for others in its midst.
        alone = self.span is None
        self.compiled = torch.compile(self.network) if self.precision.compile and alone else None
        self.uncompiled = ""
        self.objective, self.augment = objective, augment
        self.fetch, self.batches = fetch, Batches(self.device)
        self.task, self.scoring_batch = task, scoring_batch
        self.config, self.epochs, self.seed = config, problem.epochs, seed
        self.followed = problem.followed
        optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self.trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        small = sum(parameter.numel() for parameter in network.parameters()) <= SMALL
        self.captures = self.precision.cuda_graphs and self.device.type == "cuda" and small and alone
        self.step: Step = self._step
        part, factor = slower or (None, 1.0)
        slowed = set() if part is None else {id(parameter) for parameter in part.parameters()}
        slow = [parameter for parameter in self.trained if id(parameter) in slowed]
        rest = [parameter for parameter in self.trained if id(parameter) not in slowed]
        groups = ((rest, config.learning_rate), (slow, factor * config.learning_rate))
        self.optimizer = optimizer(
            [{"params": parameters, "lr": rate} for parameters, rate in groups if parameters],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
            capturable=self.captures,
        )
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, mode="min", factor=config.plateau_factor, patience=config.plateau_patience
        )
        self.epoch = 0
        self.together: Group | None = None
        self.apart = ""
        """Why it trains by itself where it should have trained with others."""

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train up to the problem's epochs, yielding after each. When to stop before is the caller's to say.

        Raises InputError for fewer than two training samples, FloatingPointError for a loss that is no finite number.
        """
        if len(train) < 2:
            raise InputError(f"Training needs at least 2 pictures, not {len(train)}. Add data or change data.split.")
        if self.together is None and self.fetch is None and self.epoch < self.epochs:
            self.batches.hold(train, validation)
        if self.span is not None and self.epoch < self.epochs:
            self.spanned = SpannedNetwork(self.network, self.span, self.device)
        self.step = self.ready_step()
        try:
            while self.epoch < self.epochs:
                train_loss, losses, prediction = self._epoch(train, validation)
                followed = self.followed[self.epoch :]
                self.scheduler.step(followed[0] if followed else losses["validation_loss"])
                self.epoch += 1
                yield Epoch({"train_loss": train_loss, **losses}, prediction, last=self.epoch == self.epochs)
        finally:
            if self.together is None:
                self.batches.release()
            else:
                self.together.leave(self)
            self.spanned = None
            if isinstance(self.step, GraphedStep):
                self.step.release()

    def predict(self, samples: Samples) -> Prediction:
        """The scores of `samples`, with maps where the objective has them."""
        return self._score(samples, {}, maps=True)

    def facts(self) -> dict[str, str]:
        """How it computed, for a record, where that is not float32 as torch does it by itself."""
        refused = self.step.refused if isinstance(self.step, GraphedStep) else None
        ways = {
            "channels first": not self.precision.channels_last,
            "compiled": self.precision.compile and self.span is None and not self.uncompiled,
            f"not compiled ({self.uncompiled})": bool(self.uncompiled),
            "as a CUDA graph": self.captures and refused is None,
            f"without a CUDA graph ({refused})": refused is not None,
            f"not stacked ({self.apart})": bool(self.apart),
        }
        if self.together is not None and not self.apart:
            ways = {
                "channels first": not self.precision.channels_last,
                f"stacked with {self.together.count - 1} of other seeds": True,
            }
        told = {"precision": precision_name(self.bfloat16, self.precision, self.device)}
        told["computed"] = ", ".join(way for way, true in ways.items() if true)
        if self.span is not None:
            told["workers"] = f"{self.span.size}, batch {self.span.size} × {self.config.batch_size}"
        return {name: text for name, text in told.items() if text}

    def state(self) -> dict[str, Any]:
        """A copy of all that training goes on from. Between epochs there is no random state to keep."""
        state: dict[str, Any] = snapshot(
            {
                "network": dict(self.network.state_dict()),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "epoch": self.epoch,
            }
        )
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`, leaving it as it is."""
        state = snapshot(dict(state))
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["capturable"] = self.captures
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch = state["epoch"]

    def _epoch(self, train: Samples, validation: Samples) -> tuple[float, dict[str, float], Prediction]:
        """Training loss, validation losses by name, and validation scores."""
        if self.together is not None and not self.apart:
            try:
                return self.together.turn(self, train, validation)
            except Apart as error:
                self.apart = str(error)
        return (self._train(train), *self._validate(validation))

    def _train(self, train: Samples) -> float:
        order_seed, noise_seed, augment_seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(3)
        workers = 1 if self.span is None else self.span.size
        batches = split_batches(
            np.random.default_rng(order_seed).permutation(len(train)), workers * self.config.batch_size
        )
        generator = torch.Generator().manual_seed(int(augment_seed))
        self.network.train()
        mean = LossMean(f"epoch {self.epoch + 1}", self._total)
        if self.span is not None:
            self._train_share(train, batches, int(noise_seed), generator, mean)
            return mean.result()
        with own_randomness(int(noise_seed), self.device), closing(self.inputs(train, batches)) as inputs:
            for pictures, labels in inputs:
                if self.augment is not None:
                    pictures = self.augment(pictures, generator)
                mean.add(*self.step(pictures, labels))
        return mean.result()

    def _train_share(
        self,
        train: Samples,
        batches: Sequence[NDArray[np.int64]],
        noise_seed: int,
        generator: torch.Generator,
        mean: LossMean,
    ) -> None:
        """Take the steps of an epoch with this process's share of each batch."""
        assert self.span is not None
        assert self.spanned is not None
        shares = [self.span.share(len(rows)) for rows in batches]
        mine = [share.read(rows) for share, rows in zip(shares, batches, strict=True)]
        shared = getattr(self.augment, "shares", False)
        # What is not drawn for whole batches must not be the same in each process.
        own_seed = int(np.random.SeedSequence([noise_seed, self.span.rank]).generate_state(1)[0])
        if not shared:
            generator.manual_seed(own_seed)
        self.spanned.draws_from(noise_seed)
        with own_randomness(own_seed, self.device), closing(self.inputs(train, mine)) as inputs:
            for share, (pictures, labels) in zip(shares, inputs, strict=True):
                pictures, labels = share.cut(pictures), share.cut(labels)
                if self.augment is not None:
                    given: tuple[Share, ...] = (share,) if shared else ()
                    pictures = self.augment(pictures, generator, *given)
                with self.spanned.of(share):
                    mean.add(*self.step(pictures, labels))

    def _total(self, part: Tensor) -> Tensor:
        """The sum over all processes that train it."""
        return part if self.span is None else self.span.total(part.to(self.device))

    def ready_step(self) -> Step:
        """What takes the steps of one training, the network being in training mode."""
        return GraphedStep(self._step, self.optimizer) if self.captures else self._step

    def _step(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the weights by one batch; each sample's loss and weight (B,)."""
        output = self._output(pictures)
        losses, weights = self.objective.losses(output, pictures, labels)
        loss = (losses * weights).sum() / self._total(weights.sum())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clipping:
            nn.utils.clip_grad_norm_(self.trained, self.config.gradient_clipping)
        self.optimizer.step()
        return losses.detach(), weights

    def _output(self, pictures: Tensor) -> Any:
        """What the network gives in training, compiled where that is asked for and works."""
        with computing(self.device, self.bfloat16):
            if self.spanned is not None:
                return self.spanned(pictures)
            if self.compiled is not None:
                try:
                    return self.compiled(pictures)
                except Exception as error:  # whatever a network does that the compiler can't, before it has run
                    self.compiled, self.uncompiled = None, first_line(error)
            return self.network(pictures)

    def _validate(self, samples: Samples) -> tuple[dict[str, float], Prediction]:
        """The mean losses by name and the scores, from one pass. For detection, normals and anomalies apart."""
        where = f"validation, epoch {self.epoch + 1}"
        wanted: dict[str, int | None] = {"validation_loss": None}
        if self.task == "detection":
            wanted = {"validation_loss": 0}
            if 1 in samples.labels:
                wanted["anomaly_loss"] = 1
        means = {name: (LossMean(where, self._total), label) for name, label in wanted.items()}
        maps = samples.masks is not None
        if self.span is None:
            prediction = self._score(samples, means, maps=maps)
        else:
            share = self.span.share(len(samples))
            rows = np.arange(share.start, share.stop)
            part = self._score(samples, means, maps=maps, rows=rows)
            prediction = Prediction(*self.span.whole(part.scores, part.maps))
        return {name: mean.result() for name, (mean, _) in means.items()}, prediction

    def _score(
        self,
        samples: Samples,
        means: Mapping[str, tuple[LossMean, int | None]],
        maps: bool,
        rows: NDArray[np.int64] | None = None,
    ) -> Prediction:
        """The scores, and the maps where asked for; each mean takes in the losses of its label. `rows`: None: all."""
        self.network.eval()
        scores, drawn = [], []
        rows = np.arange(len(samples)) if rows is None else rows
        if not len(rows):
            return Prediction(np.empty(0))
        batches = np.split(rows, range(self.scoring_batch, len(rows), self.scoring_batch))
        with torch.inference_mode(), closing(self.inputs(samples, batches)) as inputs:
            for pictures, labels in inputs:
                with computing(self.device, self.bfloat16):
                    output = self.network(pictures)
                if means:
                    losses, weights = self.objective.losses(output, pictures, labels)
                for mean, label in means.values():
                    mean.add(losses, weights if label is None else weights * (labels == label))
                scores.append(self.objective.scores(output, pictures).double())
                if maps and (batch := self.objective.maps(output, pictures)) is not None:
                    # Copied, because it may be a view of the pictures, whose memory the next batch takes over.
                    drawn.append(batch.float().cpu().numpy().copy())
        return Prediction(torch.cat(scores).cpu().numpy(), np.concatenate(drawn) if drawn else None)

    def inputs(
        self, samples: Samples, batches: Sequence[NDArray[np.int64]]
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The network's input (B, ...) and labels (B,) of each batch of rows, on the device."""
        if self.fetch is not None:
            labels = labels_of(samples, batches, self.device)
            return ((self.fetch(samples, rows), known) for rows, known in zip(batches, labels, strict=True))
        given = self.batches.each(samples, batches)
        return given if self.precision.channels_last else ((each.contiguous(), known) for each, known in given)

    def pictures(self, samples: Samples, rows: NDArray[np.int64]) -> Tensor:
        """Pictures (B, C, H, W), float32 in [0, 1], on the device."""
        return self.batches.at(samples, rows)


def split_batches(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """`rows` in batches of `size`; a last one that would hold a single row joins the one before it."""
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        # BatchNorm can't train on one sample.
        lone = batches.pop()
        batches[-1] = np.concatenate((batches[-1], lone))
    return batches


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed what dropout and its like draw from, and put the caller's random state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def snapshot(tree: Any) -> Any:
    """A copy of nested dicts, lists and tensors, its tensors on the CPU."""
    if isinstance(tree, Tensor):
        return tree.detach().cpu().clone()
    if isinstance(tree, dict):
        return {key: snapshot(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [snapshot(value) for value in tree]
    return tree

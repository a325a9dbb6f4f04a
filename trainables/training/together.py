"""Small networks of one shape, trained together as one stacked network; each sees what it would see alone."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainables.interface import Prediction, Samples
from trainables.training.draws import Draw
from trainables.training.given_draws import GivenDraws, recorded
from trainables.training.graphed_step import SMALL
from trainables.training.loop import Apart, EpochLoop, split_batches
from trainables.training.precision import computing, first_line

CLIPPING_EPSILON = 1e-6
"""Of `clip_grad_norm_`."""


Trained = tuple[float, dict[str, float], Prediction]
"""What one epoch gave one member: training loss, validation losses by name, validation scores."""


class Together:
    """Loops whose networks take their steps together; to be set as `together` of each of them.

    Members may differ in seed, learning rate, weight decay, dropout and what their objectives call their numbers; each
    has its own order of pictures, draws, statistics, schedule and epochs, and leaves when it ends. A member's result is
    that of its training alone but for rounding (on a CPU; on a GPU dropout's draws are others). The technique is
    that of model ensembling with `torch.func` (PyTorch's documentation): one stacked operation for all.
    """

    def __init__(self, loops: Sequence[EpochLoop]) -> None:
        """Raises Apart where they can't be."""
        self.loops, self.count = list(loops), len(loops)
        _check(self.loops)
        # Pictures lie on the device once for all.
        self.batches = self.loops[0].batches
        for loop in self.loops:
            loop.together, loop.batches = self, self.batches
        self._begun = False
        self._apart = ""
        self._turns: dict[int, Trained | FloatingPointError] = {}
        self._plans: dict[tuple[int, ...], list[list[Draw]]] = {}

    def leave(self, loop: EpochLoop) -> None:
        """A member has ended; the others go on without it."""
        self.loops = [each for each in self.loops if each is not loop]
        if not self.loops:
            self.batches.release()

    def turn(self, loop: EpochLoop, train: Samples, validation: Samples) -> Trained:
        """One epoch of a member: the first that asks has it trained for all that stand where it stands.

        Raises FloatingPointError where the member's loss is no finite number; the others go on. Raises Apart, from the
        first on, where the first epoch fails, which has changed nothing then: a network may do what can't be stacked.
        """
        first = not self._begun
        self._begun = True
        if first and loop.fetch is None:
            self.batches.hold(train, validation)
        if self._apart:
            raise Apart(self._apart)
        if id(loop) not in self._turns:
            members = [each for each in self.loops if each.epoch == loop.epoch and id(each) not in self._turns]
            try:
                found = self._epoch(members, train, validation)
            except Exception as error:
                if not first:
                    raise
                self._apart = str(error) if isinstance(error, Apart) else first_line(error)
                raise Apart(self._apart) from error
            self._turns.update(zip(map(id, members), found, strict=True))
        own = self._turns.pop(id(loop))
        if isinstance(own, FloatingPointError):
            raise own
        return own

    def _epoch(
        self, members: list[EpochLoop], train: Samples, validation: Samples
    ) -> list[Trained | FloatingPointError]:
        stack = Stack(members)
        means = self._train(stack, members, train)
        validated_of_each = list(self._validate(stack, members, validation))
        stack.hand_back()  # last: where anything fails before, nothing has changed
        where = f"epoch {members[0].epoch + 1}"
        found: list[Trained | FloatingPointError] = []
        for mean, validated in zip(means, validated_of_each, strict=True):
            wrong = [name for name, value in (("", mean), *validated[0].items()) if not np.isfinite(value)]
            if wrong:
                place = where if not wrong[0] else f"validation, {where}"
                found.append(FloatingPointError(f"The loss is not finite: {place}. Lower the learning rate."))
            else:
                found.append((mean, *validated))
        return found

    def _train(self, stack: "Stack", members: list[EpochLoop], train: Samples) -> list[float]:
        first, device = members[0], members[0].device
        orders, noises, changes = [], [], []
        for loop in members:
            order, noise, change = np.random.SeedSequence([loop.seed, loop.epoch]).generate_state(3)
            rows = np.random.default_rng(order).permutation(len(train))
            orders.append(split_batches(rows, loop.config.batch_size))
            noises.append(torch.Generator(device).manual_seed(int(noise)))
            changes.append(torch.Generator().manual_seed(int(change)))
        sums, weights = [], []
        for loop in members:
            loop.network.train()
        for pictures, labels in self._batches(members, train, orders):
            if first.augment is not None:
                # As each would change them alone, from its own draws.
                pictures = torch.stack(
                    [
                        each if loop.augment is None else loop.augment(each, change)
                        for loop, each, change in zip(members, pictures, changes, strict=True)
                    ]
                )
            draws = self._draws(members, pictures, noises)
            losses, counts = stack.step(pictures, labels, draws)
            sums.append((losses * counts).sum(dim=1).double())
            weights.append(counts.sum(dim=1).double())
        means: list[float] = (torch.stack(sums).sum(dim=0) / torch.stack(weights).sum(dim=0)).tolist()
        return means

    def _batches(
        self, members: list[EpochLoop], samples: Samples, orders: list[list[NDArray[np.int64]]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The inputs (M, B, ...) and labels (M, B) of each batch, every member's by its own rows."""
        first, count = members[0], len(members)
        if first.fetch is None:
            batches = [np.concatenate(rows) for rows in zip(*orders, strict=True)]
            for given, labels in first.inputs(samples, batches):
                yield given.view(count, -1, *given.shape[1:]), labels.view(count, -1)
            return
        for each in zip(*(loop.inputs(samples, rows) for loop, rows in zip(members, orders, strict=True)), strict=True):
            yield torch.stack([given for given, _ in each]), torch.stack([labels for _, labels in each])

    def _draws(self, members: list[EpochLoop], pictures: Tensor, generators: list[torch.Generator]) -> list[Tensor]:
        """What each random layer multiplies by or adds, in the order of the layers: (M, B, ...) each."""
        key = (pictures.shape[1], *map(id, members))
        if key not in self._plans:
            self._plans[key] = [recorded(loop, batch) for loop, batch in zip(members, pictures, strict=True)]
        plans = self._plans[key]
        by_member = [[each.drawn(made) for each in plan] for plan, made in zip(plans, generators, strict=True)]
        return [torch.stack(layer) for layer in zip(*by_member, strict=True)]

    def _validate(
        self, stack: "Stack", members: list[EpochLoop], samples: Samples
    ) -> Iterator[tuple[dict[str, float], Prediction]]:
        first = members[0]
        wanted: dict[str, int | None] = {"validation_loss": None}
        if first.task == "detection":
            wanted = {"validation_loss": 0, **({"anomaly_loss": 1} if 1 in samples.labels else {})}
        size = first.scoring_batch
        batches = np.split(np.arange(len(samples)), range(size, len(samples), size))
        sums: dict[str, list[Tensor]] = {name: [] for name in wanted}
        counts: dict[str, list[Tensor]] = {name: [] for name in wanted}
        scores: list[NDArray[np.float64]] = []
        maps: list[NDArray[np.float32]] = []
        for loop in members:
            loop.network.eval()
        with torch.inference_mode():
            alike = first.fetch is None
            looks = (
                first.inputs(samples, batches) if alike else self._batches(members, samples, [batches] * len(members))
            )
            for pictures, labels in looks:
                wants = samples.masks is not None
                losses, weights, given, drawn = stack.look(pictures, labels, maps=wants, alike=alike)
                labels = labels if alike else labels[0]
                for name, label in wanted.items():
                    counted = weights if label is None else weights * (labels == label)
                    sums[name].append((losses * counted).sum(dim=1).double())
                    counts[name].append(counted.sum(dim=1).double())
                scores.append(given.double().cpu().numpy())
                if drawn is not None:
                    maps.append(drawn.float().cpu().numpy().copy())
        means = {
            name: (torch.stack(sums[name]).sum(dim=0) / torch.stack(counts[name]).sum(dim=0)).tolist()
            for name in wanted
        }
        whole, seen = np.concatenate(scores, axis=1), np.concatenate(maps, axis=1) if maps else None
        for place in range(len(members)):
            prediction = Prediction(whole[place], None if seen is None else seen[place])
            yield {name: values[place] for name, values in means.items()}, prediction


class Stack:
    """The networks of members as one: parameters (M, P), buffers (M, ...), Adam's moments (M, P)."""

    def __init__(self, members: list[EpochLoop]) -> None:
        self.members, first = members, members[0]
        self.trained = [name for name, one in first.network.named_parameters() if one.requires_grad]
        named = [dict(loop.network.named_parameters()) for loop in members]
        self.shapes = [named[0][name].shape for name in self.trained]
        self.sizes = [shape.numel() for shape in self.shapes]
        self.flat = torch.stack([_flat([each[name].detach() for name in self.trained]) for each in named])
        still = [
            {
                **{name: one for name, one in each.items() if name not in self.trained},
                **dict(loop.network.named_buffers()),
            }
            for loop, each in zip(members, named, strict=True)
        ]
        self.still = {name: torch.stack([each[name].detach() for each in still]) for name in still[0]}
        self.network = copy.deepcopy(first.network)
        self.objectives = [loop.objective for loop in members]
        names = getattr(first.objective, "numbers", ())
        self.numbers = {
            name: torch.tensor([getattr(one, name) for one in self.objectives], dtype=self.flat.dtype).to(first.device)
            for name in names
        }
        self._take_moments(named)

    def step(self, pictures: Tensor, labels: Tensor, draws: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Change all by a batch (M, B, ...) of each; each sample's loss and weight (M, B)."""
        self.network.train()
        # cuDNN's batch norm asks for the layout, which vmap does not answer for channels last.
        pictures = pictures.contiguous()
        self.flat.requires_grad_(True)
        loss, first = self._objective(maps=False), self.members[0]

        def member(flat: Tensor, still: Any, numbers: Any, given: Tensor, known: Tensor, drawn: list[Tensor]) -> Any:
            with GivenDraws(drawn):
                output = functional_call(self.network, (self._unflat(flat), still), (given,))
            return loss(numbers, output, given, known)[:2]

        with computing(first.device, first.bfloat16):
            losses, weights = vmap(member)(self.flat, self.still, self.numbers, pictures, labels, draws)
        # The sum's gradient holds each member's own.
        total = ((losses * weights).sum(dim=1) / weights.sum(dim=1)).sum()
        (gradient,) = torch.autograd.grad(total, self.flat)
        self.flat = self.flat.detach()
        self._adam(gradient)
        return losses.detach(), weights.detach()

    def look(
        self, pictures: Tensor, labels: Tensor, *, maps: bool, alike: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Losses, weights and scores (M, B, ...) and, where asked for and known, maps.

        `alike`: all see the same pictures (B, ...), not each its own (M, B, ...).
        """
        self.network.eval()
        pictures = pictures.contiguous()
        objective, first = self._objective(maps), self.members[0]

        def member(flat: Tensor, still: Any, numbers: Any, given: Tensor, known: Tensor) -> Any:
            with computing(first.device, first.bfloat16):
                output = functional_call(self.network, (self._unflat(flat), still), (given,))
            return objective(numbers, output, given, known)

        dimension = None if alike else 0
        over = vmap(member, in_dims=(0, 0, 0, dimension, dimension))
        found = over(self.flat, self.still, self.numbers, pictures, labels)
        return found[0], found[1], found[2], found[3] if len(found) > 3 else None

    def hand_back(self) -> None:
        """Give each member's network and optimiser what is its own."""
        with torch.no_grad():
            for place, loop in enumerate(self.members):
                named = dict(loop.network.named_parameters())
                values = zip(
                    self.trained, *(self._cut(each[place]) for each in (self.flat, *self.moments)), strict=True
                )
                for name, value, first, second in values:
                    named[name].copy_(value)
                    state = loop.optimizer.state[named[name]]
                    state["step"] = torch.full_like(self.steps[place], float(self.steps[place]))
                    for key, moment in (("exp_avg", first), ("exp_avg_sq", second)):
                        # In the parameter's own layout: a fused optimiser reads both as they lie in memory.
                        state[key] = torch.empty_like(named[name]).copy_(moment)
                buffers = {**named, **dict(loop.network.named_buffers())}
                for name, values_ in self.still.items():
                    buffers[name].copy_(values_[place])

    def _objective(self, maps: bool) -> Callable[..., tuple[Tensor, ...]]:
        one = self.objectives[0]

        def graded(numbers: dict[str, Tensor], output: Any, given: Tensor, known: Tensor) -> tuple[Tensor, ...]:
            objective = copy.copy(one)
            for name, value in numbers.items():
                setattr(objective, name, value)
            found = (*objective.losses(output, given, known), objective.scores(output, given))
            drawn = objective.maps(output, given) if maps else None
            return found if drawn is None else (*found, drawn)

        return graded

    def _adam(self, gradient: Tensor) -> None:
        """Adam (Kingma & Ba 2015, algorithm 1), or with decoupled decay (Loshchilov & Hutter 2019); torch's order."""
        group = self.members[0].optimizer.param_groups[0]
        (beta, beta_squared), epsilon = group["betas"], group["eps"]
        if clipping := self.members[0].config.gradient_clipping:
            norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient = gradient * (clipping / (norms + CLIPPING_EPSILON)).clamp(max=1.0)
        if self.decoupled:
            self.flat.mul_(1 - self.rates * self.decays)
        elif self.decays.any():
            gradient = gradient + self.decays * self.flat
        self.steps += 1
        mean, square = self.moments
        mean.lerp_(gradient, 1 - beta)
        square.mul_(beta_squared).addcmul_(gradient, gradient, value=1 - beta_squared)
        steps = self.steps.double()[:, None]
        small = (square.sqrt() / (1 - beta_squared**steps).sqrt().to(square.dtype)).add_(epsilon)
        self.flat.sub_((self.rates / (1 - beta**steps)).to(mean.dtype) * mean / small)

    def _take_moments(self, named: list[dict[str, nn.Parameter]]) -> None:
        first = self.members[0]
        self.decoupled = isinstance(first.optimizer, torch.optim.AdamW)
        groups = [loop.optimizer.param_groups[0] for loop in self.members]
        self.rates, self.decays = (
            torch.tensor([[group[key]] for group in groups], dtype=self.flat.dtype, device=first.device)
            for key in ("lr", "weight_decay")
        )
        moments: list[tuple[Tensor, Tensor]] = []
        steps = []
        for loop, each in zip(self.members, named, strict=True):
            states = [loop.optimizer.state.get(each[name], {}) for name in self.trained]
            steps.append(float(states[0]["step"]) if states and states[0] else 0.0)
            zeros = [torch.zeros_like(each[name]) for name in self.trained]
            mean, square = (
                _flat([state.get(key, zero) for state, zero in zip(states, zeros, strict=True)])
                for key in ("exp_avg", "exp_avg_sq")
            )
            moments.append((mean, square))
        self.moments = tuple(torch.stack(each) for each in zip(*moments, strict=True))
        self.steps = torch.tensor(steps, dtype=torch.float32, device=first.device)

    def _unflat(self, flat: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.trained, self._cut(flat), strict=True))

    def _cut(self, flat: Tensor) -> list[Tensor]:
        parts = torch.split(flat, self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _check(loops: Sequence[EpochLoop]) -> None:
    """Raise Apart where loops can't be trained together."""
    first = loops[0]

    def shape(loop: EpochLoop) -> Any:
        return [(name, one.shape, one.dtype, one.requires_grad) for name, one in loop.network.named_parameters()]

    same: dict[str, Callable[[EpochLoop], Any]] = {
        "networks of one shape": shape,
        "one kind of optimiser": lambda loop: type(loop.optimizer),
        "one batch size": lambda loop: loop.config.batch_size,
        "one gradient clipping": lambda loop: loop.config.gradient_clipping,
        "one precision": lambda loop: (loop.bfloat16, loop.precision),
        "one device": lambda loop: loop.device,
        "one kind of objective": lambda loop: (type(loop.objective), _settings(loop)),
        "one way to fetch pictures": lambda loop: loop.fetch is None,
        "augmentation for all or for none": lambda loop: loop.augment is None,
    }
    for what, of in same.items():
        if any(of(loop) != of(first) for loop in loops):
            raise Apart(f"they need {what}")
    if sum(parameter.numel() for parameter in first.network.parameters()) > SMALL:
        raise Apart(f"each has more than {SMALL:,} parameters")
    if len(first.optimizer.param_groups) > 1:
        raise Apart("parts of the network learn at rates of their own")


def _settings(loop: EpochLoop) -> dict[str, Any]:
    """What an objective is set to, but for its numbers."""
    numbers = getattr(loop.objective, "numbers", ())
    return {
        name: value.tolist() if isinstance(value, Tensor) else value
        for name, value in vars(loop.objective).items()
        if name not in numbers
    }

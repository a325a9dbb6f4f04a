"""What the random layers of a network ask for, written down, and given to them once it is drawn."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from trainables.training.draws import Draw, dropped
from trainables.training.loop import Apart, EpochLoop
from trainables.training.precision import computing

RANDOM = ("rand", "dropout", "bernoulli", "normal", "multinomial", "rrelu", "poisson", "exponential")
"""What is in the names of torch's functions that draw."""


def recorded(loop: EpochLoop, pictures: Tensor) -> list[Draw]:
    """What the random layers of a member's network ask for, in their order, for such a batch. Raises Apart."""
    recorder = RecordedDraws()
    state = {name: one.detach().clone() for name, one in loop.network.state_dict().items()}
    with torch.no_grad(), recorder, torch.random.fork_rng(devices=[]), computing(loop.device, loop.bfloat16):
        functional_call(loop.network, state, (pictures,))
    return recorder.draws


class GivenDraws(TorchFunctionMode):
    """Random layers take what was drawn for them instead of drawing."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        super().__init__()
        self.draws = list(draws)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.dropout and dropped(args, kwargs or {}) is not None:
            return args[0] * self.draws.pop(0)
        if func is torch.randn_like:
            return self.draws.pop(0)
        return func(*args, **(kwargs or {}))


class RecordedDraws(TorchFunctionMode):
    """Writes down what random layers ask for. Raises Apart for a kind that it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keys = kwargs or {}
        if func is functional.dropout:
            share = dropped(args, keys)
            if share is not None:
                self.draws.append(Draw(torch.empty_like(args[0]), share))
            return args[0]
        if func is torch.randn_like:
            self.draws.append(Draw(torch.empty_like(args[0]), None))
            return torch.zeros_like(args[0])
        name = getattr(func, "__name__", "")
        if any(part in name for part in RANDOM):
            raise Apart(f"{name} draws in a way that is not known here")
        return func(*args, **keys)

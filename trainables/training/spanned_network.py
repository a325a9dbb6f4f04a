"""A network whose batches lie in several processes: gradients, batch statistics and draws are those of the whole."""

import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from trainables.training.draws import SharedDraws
from trainables.training.precision import in_full
from trainables.training.span import Share, Span


class _Total(torch.autograd.Function):
    """The sum of what each process has; so is its gradient, since each goes on with it."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(context, gradient)


class SpannedBatchNorm(_BatchNorm):
    """Batch normalisation by the whole batch (torch's SyncBatchNorm works on GPUs alone). A share may be empty."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            normalised: Tensor = super().forward(input)
            return normalised
        given = in_full(input)
        over, shape = [0, *range(2, given.dim())], [1, -1, *[1] * (given.dim() - 2)]
        count = given.new_tensor(given.numel() / given.shape[1])
        dist.all_reduce(count)
        # In two passes: the mean of squares less the square of the mean loses digits.
        mean = _Total.apply(given.sum(over)) / count
        centred = given - mean.view(shape)
        variance = _Total.apply(centred.square().sum(over)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var.dtype), share)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        typed: Tensor = normal.to(input.dtype)
        return typed


def by_whole_batches(network: nn.Module, device: torch.device) -> None:
    """Let each batch normalisation inside see whole batches: on GPUs by torch's own, else by ours."""
    kind = nn.SyncBatchNorm if device.type == "cuda" else SpannedBatchNorm
    for module in list(network.modules()):
        for name, inner in module.named_children():
            if isinstance(inner, _BatchNorm) and not isinstance(inner, kind):
                setattr(module, name, _as(kind, inner))


def _as(kind: type[_BatchNorm], plain: _BatchNorm) -> _BatchNorm:
    """The same normalisation, with the same parameters and statistics, of another kind."""
    made = kind(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
    made.weight, made.bias = plain.weight, plain.bias
    made.running_mean, made.running_var = plain.running_mean, plain.running_var
    made.num_batches_tracked = plain.num_batches_tracked
    return made.train(plain.training)


class SpannedNetwork:
    """What a network gives for this process's share of a batch, in training; its gradients become those of all."""

    def __init__(self, network: nn.Module, span: Span, device: torch.device) -> None:
        """`network`: batch normalisations see whole batches already."""
        self._device, self._draws = device, SharedDraws(torch.Generator(device))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a new name for the same
            # Statistics are alike by themselves.
            self._parallel = DistributedDataParallel(network, broadcast_buffers=False)
        # A loss is a share of the whole batch's: gradients add up.
        self._parallel.register_comm_hook(None, summed)

    def draws_from(self, seed: int) -> None:
        """What dropout and its like draw from now on is drawn for whole batches, of which each takes its rows."""
        self._draws = SharedDraws(torch.Generator(self._device).manual_seed(seed))

    def of(self, share: Share) -> AbstractContextManager[Any]:
        """While the block runs, such a share is shown."""
        return self._draws.of(share)

    def __call__(self, pictures: Tensor) -> Any:
        """What the network gives."""
        with self._draws:
            return self._parallel(pictures)


def summed(
    state: object,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # torch looks whether it is so annotated
) -> torch.futures.Future[Tensor]:
    """For DistributedDataParallel: the sum of gradients, where by itself it takes their mean."""
    future = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    found: torch.futures.Future[Tensor] = future.then(lambda done: done.value()[0])
    return found

"""A step of training that a GPU replays as one CUDA graph: for small networks, whose kernels end before the next is
launched."""

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.training.precision import first_line

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(input, labels) -> each sample's loss and weight, both (B,), after the weights were changed."""

SMALL = 5_000_000
"""Parameters up to which a network is captured: of larger ones the kernels take longer than their launches."""
WARM_STEPS = 3
"""Steps that a training takes plainly first: what libraries set up at first must not be captured."""


class GraphedStep:
    """Takes each step as it is, or once some are taken and where it can be had, by replaying one that was captured.

    A batch of another size than the first is taken as it is. Nothing is trained on twice, and nothing left out.
    """

    def __init__(self, step: Step, optimizer: torch.optim.Optimizer) -> None:
        """`optimizer` must be capturable."""
        self._step, self._optimizer = step, optimizer
        self.refused: str | None = None
        """Why nothing is captured, once that is known."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._rates: list[float] = []
        self._shape: torch.Size | None = None
        self._taken = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Tensor, Tensor]

    def release(self) -> None:
        """Give back the memory that the graph holds."""
        self._graph, self._inputs = None, ()

    def __call__(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step. What it gives is good until the next."""
        self._shape = self._shape or pictures.shape
        if self.refused is not None or pictures.shape != self._shape:
            return self._step(pictures, labels)
        if self._taken < WARM_STEPS:
            self._taken += 1
            return self._beside(pictures, labels)
        # A graph keeps the learning rate that it was captured with.
        rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        if self._graph is None or rates != self._rates:
            try:
                self._capture(pictures, labels)
            except Exception as error:  # whatever a network does that no graph can hold
                self._graph, self.refused = None, first_line(error)
                torch.cuda.synchronize(pictures.device)
                return self._step(pictures, labels)
            self._rates = rates
        assert self._graph is not None
        for mine, given in zip(self._inputs, (pictures, labels), strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._outputs

    def _beside(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """On a stream of its own, as what is captured later will be."""
        main = torch.cuda.current_stream(pictures.device)
        side = torch.cuda.Stream(pictures.device)  # type: ignore[no-untyped-call]
        side.wait_stream(main)
        with torch.cuda.stream(side):
            given = self._step(pictures, labels)
        main.wait_stream(side)
        for tensor in given:
            tensor.record_stream(main)
        return given

    def _capture(self, pictures: Tensor, labels: Tensor) -> None:
        """Record one step, which is not taken by that."""
        self._graph = None  # first, so that its memory is free
        self._inputs = pictures.clone(), labels.clone()
        graph = torch.cuda.CUDAGraph()
        # Of this thread alone: another one may be fetching pictures meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._outputs = self._step(self._inputs[0], self._inputs[1])
        self._graph = graph

"""A step of training on every GPU, tried in a process of its own, which may hang or die: prints what came as JSON."""

import json
import time
import warnings
from typing import Any

import torch
from torch import nn

STEPS = 5
CLOSE = 0.05
"""The loss of the first step beside that of a CPU, relatively: TensorFloat-32 has ten bits."""


def step_on(device: str, mixed: bool) -> tuple[float, float]:
    """(loss of the first step, median seconds of the later ones) of a small network, to the end of the work."""
    torch.manual_seed(0)
    pictures, labels = torch.rand(32, 3, 64, 64), torch.arange(32) % 2
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    network(pictures[:2])
    network, pictures, labels = network.to(device), pictures.to(device), labels.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    losses, seconds = [], []
    for _ in range(STEPS):
        started = time.perf_counter()
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=mixed):
            loss = nn.functional.cross_entropy(network(pictures), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - started)
    return losses[0], sorted(seconds[1:])[len(seconds) // 2 - 1]


def tried(index: int) -> dict[str, Any]:
    """What one GPU is, and how a step of training went on it."""
    found: dict[str, Any] = {"name": "", "capability": "", "memory": 0, "free": 0, "bf16": False, "seconds": 0.0}
    try:
        torch.cuda.set_device(index)
        known = torch.cuda.get_device_properties(index)
        found |= {"name": known.name, "capability": f"{known.major}.{known.minor}", "memory": known.total_memory}
        found["free"] = torch.cuda.mem_get_info(index)[0]
        found["bf16"] = torch.cuda.is_bf16_supported(including_emulation=False)
        expected, _ = step_on("cpu", False)
        loss, found["seconds"] = step_on(f"cuda:{index}", False)
        if not abs(loss - expected) <= CLOSE * abs(expected):
            raise RuntimeError(f"wrong result: the loss of a step is {loss:.4f}, and {expected:.4f} on the CPU")
        if found["bf16"]:
            loss, _ = step_on(f"cuda:{index}", True)
            if not abs(loss - expected) <= CLOSE * abs(expected):
                raise RuntimeError(f"wrong result in bf16: the loss is {loss:.4f}, and {expected:.4f} on the CPU")
    except Exception as error:  # whatever keeps it from training is what is asked
        found["error"] = " ".join(f"{error}".split())[:500] or type(error).__name__
    return found


def main() -> None:
    """Print `cards`, one a GPU that CUDA finds, and `error`: why it finds none."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        works = torch.cuda.is_available()
    words = [" ".join(str(one.message).split())[:500] for one in said]
    cards = [tried(index) for index in range(torch.cuda.device_count())] if works else []
    print(json.dumps({"cards": cards, "error": "" if works else "; ".join(words)}))


if __name__ == "__main__":
    main()

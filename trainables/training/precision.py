"""In which numbers and which layout a network computes on a device, by what its run has settled on."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from trainables.interface import Precision, Problem


def has_mixed_precision(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 itself; emulated, it would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Instructions that multiply in it: AVX512-BF16 or AMX.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in asked)


def in_bfloat16(mixed_precision: bool, problem: Problem) -> bool:
    """Whether a network computes in bfloat16: where its configuration or its run says so, and its device does so."""
    wanted = mixed_precision or problem.precision.dtype == "bfloat16"
    return wanted and has_mixed_precision(torch.device(problem.device))


def computing(device: torch.device, bfloat16: bool) -> AbstractContextManager[Any]:
    """What a network computes under. Its weights, its losses and the optimiser stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bfloat16 else nullcontext()


def use_tf32(precision: Precision) -> None:
    """Let this process's GPU multiply float32 with 10 bits of mantissa, or forbid it; unset, torch's own rule stays."""
    if precision.tf32 is not None:
        chosen = "tf32" if precision.tf32 else "ieee"
        torch.backends.cuda.matmul.fp32_precision = chosen
        torch.backends.cudnn.conv.fp32_precision = chosen  # type: ignore[attr-defined]


def precision_name(bfloat16: bool, precision: Precision, device: torch.device) -> str:
    """What a network computed in, for a record; nothing of float32 as torch does it by itself."""
    tf32 = precision.tf32 if device.type == "cuda" else None
    beside = {True: "TF32", False: "float32 without TF32", None: "float32"}[tf32]
    if bfloat16:
        return f"bfloat16, the rest {beside}"
    return "" if tf32 is None else beside


def first_line(error: BaseException) -> str:
    """What an error says, shortly."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:120]}"

"""How networks compute in a run: settled once a kind of device, before the first training, and kept in its folder."""

import json
from dataclasses import asdict, replace
from typing import Any

import torch

from orchestrator.artifacts.endings import first_line
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.machine.tasks import answer_of, task
from orchestrator.stages.context import Context
from trainables.errors import InputError
from trainables.files import write_whole
from trainables.interface import Precision
from trainables.training.precision import has_mixed_precision
from trainables.training.probe import Probed, probe

LONGEST = 600.0
"""Seconds that trying may take; its steps take some ten, and compiling a network a minute or two."""


def precision_of(context: Context, device: str, size: tuple[int, int], steps: int) -> Precision:
    """How the run's networks compute on `device`: as it was settled on, else as is settled on now.

    `size`: of the pictures that it is tried with; `steps`: of one training. A run that was begun before there was a
    choice goes on as it was.
    """
    kept = _kept(context.folder)
    if device in kept:
        return Precision(**kept[device]["precision"])
    wishes = context.experiment.precision.model_dump()
    is_cpu = device == "cpu"
    if is_cpu and set(wishes.values()) == {"auto"} and not context.engine.remote and not _has_bfloat16():
        return Precision()  # nothing to choose from, and nothing to wait for
    # What was trained on the other device says nothing of this one; records of versions before the choice name none.
    if not kept and any(one.device in (None, device) for one in read_records(context.folder.records)):
        probed = Probed(Precision(), {"all": "the run was begun before there was a choice"})
    else:
        probed = _probed(context, device, size, wishes, steps)
        if (workers := context.experiment.resources.workers) > 1:
            probed = _shared(probed, workers)
    text = json.dumps({**kept, device: asdict(probed)}, indent=2)
    write_whole(context.folder.precision, text, wait=True)
    context.reporter.say(told(device, probed))
    return probed.precision


def told(device: str, probed: Probed) -> str:
    """What was settled on, as a sentence."""
    chosen = probed.precision
    names = {
        "bfloat16": chosen.dtype == "bfloat16",
        "TF32": bool(chosen.tf32),
        "channels first": not chosen.channels_last,
        "compiled": chosen.compile,
        "CUDA graphs for small ones": chosen.cuda_graphs,
        "the seeds of small ones stacked": chosen.fused,
    }
    ways = ", ".join(name for name, true in names.items() if true)
    ordinary = asdict(Precision())
    keys = [key for key, value in asdict(chosen).items() if value != ordinary[key]]
    keys += [
        key for key, reason in probed.reasons.items() if key not in keys and (key == "all" or "asked for" in reason)
    ]
    why = "; ".join(f"{key}: {probed.reasons[key]}" for key in keys)
    sentence = f"Networks compute on {device} {f'with {ways}' if ways else 'in float32, as torch does by itself'}"
    return f"{sentence}{f' ({why})' if why else ''}."


def _kept(folder: RunFolder) -> dict[str, Any]:
    """What is settled on, by device. InputError where the file can't be read: a guess would mix precisions."""
    try:
        text = folder.precision.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        kept: dict[str, Any] = json.loads(text)
        for chosen in kept.values():
            Precision(**chosen["precision"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"{folder.precision} does not say how the run's networks compute: it was changed or cut off. Put it back, "
            "or start the run anew in another folder."
        ) from None
    return kept


def _has_bfloat16() -> bool:
    return has_mixed_precision(torch.device("cpu"))


def _probed(context: Context, device: str, size: tuple[int, int], wishes: dict[str, Any], steps: int) -> Probed:
    """Tried on a worker, with what a trial reserves."""
    held = next(one for one in context.placements.values() if one.device == device)
    tried = task(_tried, cpus=held.cpus, gpus=held.gpus)
    call = tried.remote(device, size, wishes, steps, len(context.experiment.seeds), max(1, int(held.cpus)))
    try:
        found: Probed = answer_of(call, LONGEST)
    except Exception as error:  # a GPU that is full, a library that fails or hangs: what pays can't be known then
        return Probed(Precision(), {"all": f"nothing could be tried ({first_line(str(error))})"})
    return found


def _shared(probed: Probed, workers: int) -> Probed:
    """The same for trainings that workers share: a step which waits for others is neither compiled nor captured, and
    seeds are not stacked."""
    chosen = replace(probed.precision, compile=False, cuda_graphs=False, fused=False)
    why = dict.fromkeys(("compile", "cuda_graphs", "fused"), f"{workers} workers share a training")
    return replace(probed, precision=chosen, reasons=probed.reasons | why)


def _tried(device: str, size: tuple[int, int], wishes: dict[str, Any], steps: int, seeds: int, threads: int) -> Probed:
    torch.set_num_threads(threads)
    return probe(device, size, wishes, steps=steps, seeds=seeds)

"""The leakage audit: who read the test part how often, and which part chose what."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from orchestrator.artifacts.test_reads import Reading
from orchestrator.report.document.document import Block, Facts, Fold, Listing, Section
from orchestrator.report.document.formatting import count, label, plural, printable, words
from orchestrator.report.numbers.readings import log_faults, read_often
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.selection import how_judged, how_seeded
from orchestrator.report.numbers.thresholds import how_chosen
from orchestrator.report.sections.data_section import part_sizes
from orchestrator.report.sections.galleries import read_strips

MOST_LINES = 30


def audit_section(data: RunData, normals_only: bool | None, folds: int | None = None) -> Section:
    """What a reader must see to believe that nothing before the end had seen the test part.

    `normals_only`: whether detection's validation part holds no anomaly; None where that is not known. `folds`: by
    which its threshold strategies were compared, as `compared_by` gives it.
    """
    said = log_faults(data)
    for one in data.every_split:
        of_split = f"Split {one.split_number}: " if data.others else ""
        said += [f"{of_split}{line}" for line in (_repeated(one, one.readings.found) if one.readings.found else ())]
    detection = data.task == "detection"
    by = label(data.search_metric)
    normals = ", of its normal pictures" if detection and data.search_metric == "validation_loss" else ""
    rows = [
        ("Weights", f"train part{', normal pictures only' if detection else ''}"),
        ("Epoch and hyperparameters", f"validation part, by {by}{normals}{how_judged(data, folds)}"),
    ]
    if detection:
        rows += [
            ("Threshold strategy", how_chosen(data, normals_only, folds)),
            ("Threshold", "validation part: the strategy fitted on the cell's own scores"),
        ]
    if data.ensembles:
        rows.append(("Ensembles", "put together on the validation part, from kept scores: scales, weights, threshold"))
    if any(one.stage in ("tuning", "ablation") for one in data.records):
        rows.append(("Ablation", "its variants are frozen before they meet the test part, and chose nothing"))
    rows += [
        *([("Trials", how_seeded(data))] if data.trial_seeds else []),
        ("Test part", _counted(data) or "not known"),
        ("Data fingerprint", words([printable(value) for value in data.distinct("data")], 20)),
        ("Split fingerprint", words([printable(value) for value in data.distinct("split", every_split=True)], 20)),
        ("Copies of pictures", _duplicates(data)),
        ("Copies across parts", _copies(data)),
        ("Near-duplicates across parts", _near(data)),
    ]
    blocks: list[Block] = [Facts(rows)]
    if said:
        blocks.append(Listing(said))
    blocks += _near_pictures(data)
    text = "Which part of the data chose what, and how often the test part was opened."
    return Section("audit", "Leakage audit", [text], blocks)


def _counted(data: RunData) -> str:
    every = [(split.split_number, one) for split in data.every_split for one in split.readings.found]
    if not every:
        return ""
    cells = Counter((number, one.variant, one.seed) for number, one in every)
    judged = Counter((number, one.variant, one.seed) for number, one in every if one.judged)
    once = all(number == 1 for number in judged.values())
    often = "each judged once" if once and judged != cells else "each once" if once else "some of them more than once"
    return f"{read_often(data)} It was read by {plural(len(cells), 'frozen cell')} (configuration × seed), {often}."


def _repeated(data: RunData, found: Sequence[Reading]) -> list[str]:
    """Cells that read more than once, and evaluated ones without a reading."""
    lines = []
    cells = Counter((one.variant, one.seed) for one in found if one.judged)
    weights: dict[tuple[str, int], set[str]] = {}
    for one in found:
        weights.setdefault((one.variant, one.seed), set()).add(one.weights)
    for (variant, seed), number in sorted(cells.items()):
        if number > 1:
            frozen = len(weights[variant, seed])
            how = (
                "with the same weights each time: its evaluation was started again"
                if frozen == 1
                else f"with {frozen} different weights: it was trained again, or another configuration was evaluated"
            )
            lines.append(
                f"{printable(variant)}, seed {seed}, read the test part {number} times, {how}. The last completed "
                "evaluation counts."
            )
    for (variant, seed), number in sorted(Counter((one.variant, one.seed) for one in found if not one.judged).items()):
        lines.append(
            f"{printable(variant)}, seed {seed}, read the test part {plural(number, 'more time')} to be exported: the "
            "file's scores were held against those kept, and nothing was chosen by them."
        )
    unlogged = [
        f"{printable(variant)} (seed {record.seed})"
        for variant, records in data.completed.items()
        for record in records
        if (variant, record.seed) not in cells and not record.reading
    ]
    if unlogged:
        lines.append(f"Evaluated without a logged reading: {words(unlogged)}.")
    cut = len(lines) - MOST_LINES
    return lines if cut <= 0 else [*lines[:MOST_LINES], f"and {cut} more"]


def _duplicates(data: RunData) -> str:
    number, by_bytes = _count(data.split.get("duplicates")), _count(data.split.get("by_bytes"))
    if number is None:
        return "not known"
    if not number:
        return "none, by what is seen" if by_bytes is not None else "none, by their bytes"
    repeats = "repeats" if number == 1 else "repeat"
    if by_bytes is None:
        return f"{plural(number, 'picture')} {repeats} the bytes of another; what is seen was not compared"
    rest = number - by_bytes
    if not rest:
        return f"{plural(number, 'picture')} {repeats} another, by the very bytes of the file"
    shown = f"{count(by_bytes)} by the bytes of the file, {count(rest)} in other bytes by the pixels or numbers seen"
    return f"{plural(number, 'picture')} {repeats} another: {shown}"


def _copies(data: RunData) -> str:
    across = _count(data.split.get("across"))
    if across is None:
        return "not known"
    if across == 0:
        return "none: exact copies of a picture stand in one part"
    return f"{plural(across, 'picture')} with an exact copy in another part, as the user supplied the parts"


def _near(data: RunData) -> str:
    """How many near-duplicates the split puts apart."""
    found = data.split.get("near_duplicates")
    counts = found.get("counts") if isinstance(found, dict) else None
    if not isinstance(counts, dict):
        return "not looked for by the release that made this split"
    listed = {printable(part): _count(number) or 0 for part, number in counts.items()}
    together = "; the others are kept in one part each" if groups_near_duplicates(data) else ""
    if not sum(listed.values()):
        return "none: near-duplicates stand in one part"
    sizes = part_sizes(data.split)
    each = ", ".join(
        f"{count(number)} of {count(sizes[part]) if part in sizes else '?'} in {part}"
        for part, number in listed.items()
    )
    return f"{plural(sum(listed.values()), 'picture')} with one in another part ({each}){together}"


def groups_near_duplicates(data: RunData) -> bool:
    """Whether the experiment keeps near-duplicates in one part."""
    source = data.experiment.get("data")
    split = source.get("split") if isinstance(source, dict) else None
    return isinstance(split, dict) and split.get("near_duplicates") == "group"


def _near_pictures(data: RunData) -> list[Block]:
    """Some of them side by side; what is wrong with their pictures is said."""
    remarks: list[str] = []
    strips = read_strips(data.run.near_duplicates, "near-duplicates", remarks)
    folds: list[Block] = [Fold("Near-duplicates in different parts, side by side", strips)] if strips else []
    return [*folds, Listing(remarks)] if remarks else folds


def _count(value: Any) -> int | None:
    """A number out of a run's file; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""The leakage audit: who read the test part how often, and which part chose what."""

from collections import Counter
from collections.abc import Sequence

from orchestrator.artifacts.test_reads import Reading
from orchestrator.report.document.document import Block, Facts, Listing, Section
from orchestrator.report.document.formatting import label, plural, printable, words
from orchestrator.report.numbers.readings import log_faults, read_often
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.selection import how_judged, how_seeded
from orchestrator.report.numbers.thresholds import how_chosen

MOST_LINES = 30


def audit_section(data: RunData, normals_only: bool | None, folds: int | None = None) -> Section:
    """What a reader must see to believe that nothing before the end had seen the test part.

    `normals_only`: whether detection's validation part holds no anomaly; None where that is not known. `folds`: by
    which its threshold strategies were compared, as `compared_by` gives it.
    """
    found, said = data.readings.found, log_faults(data)
    if found:
        said += _repeated(data, found)
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
    if any(one.stage in ("tuning", "ablation") for one in data.records):
        rows.append(("Ablation", "its variants are frozen before they meet the test part, and chose nothing"))
    rows += [
        *([("Trials", how_seeded(data))] if data.trial_seeds else []),
        ("Test part", _counted(data, found) if found else "not known"),
        ("Data fingerprint", words([printable(value) for value in data.distinct("data")], 20)),
        ("Split fingerprint", words([printable(value) for value in data.distinct("split")], 20)),
        ("Copies of pictures", _duplicates(data)),
        ("Copies across parts", _copies(data)),
    ]
    blocks: list[Block] = [Facts(rows)]
    if said:
        blocks.append(Listing(said))
    text = "Which part of the data chose what, and how often the test part was opened."
    return Section("audit", "Leakage audit", [text], blocks)


def _counted(data: RunData, found: Sequence[Reading]) -> str:
    cells = Counter((one.variant, one.seed) for one in found)
    once = all(number == 1 for number in cells.values())
    often = "each once" if once else "some of them more than once"
    return f"{read_often(data)} It was read by {plural(len(cells), 'frozen cell')} (configuration × seed), {often}."


def _repeated(data: RunData, found: Sequence[Reading]) -> list[str]:
    """Cells that read more than once, and evaluated ones without a reading."""
    lines = []
    cells = Counter((one.variant, one.seed) for one in found)
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
    number = data.split.get("duplicates")
    if not isinstance(number, int) or isinstance(number, bool):
        return "not known"
    repeats = "repeats" if number == 1 else "repeat"
    return f"{plural(number, 'picture')} {repeats} the bytes of another" if number else "none"


def _copies(data: RunData) -> str:
    across = data.split.get("across")
    if not isinstance(across, int):
        return "not known"
    if across == 0:
        return "none: exact copies of a picture stand in one part"
    return f"{plural(across, 'picture')} with an exact copy in another part, as the user supplied the parts"

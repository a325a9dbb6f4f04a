"""The file of another tool -> its models beside a run: joined by path, checked, judged."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.comparing.foreign import FAMILY, MARK, ForeignData
from orchestrator.comparing.foreign_paths import join_paths
from orchestrator.comparing.foreign_scores import Answers, ScoreColumns
from orchestrator.comparing.foreign_table import ENDINGS, SHOWN, ForeignTable, NotOfThisRun, read_foreign_table, said
from orchestrator.data.files.csv_table import column_key
from orchestrator.report.document.formatting import count, plural, printable, words
from orchestrator.report.numbers.predictions import VariantScores, read_scores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.metric_table import Metric, metrics_of

DATA_SET = "data_set"
"""The column that says which data set a row is of, where several runs stand there."""


def read_foreign(path: Path, name: str, beside: RunData, called: Iterable[str]) -> ForeignData:
    """The models of a file beside a run, which is `called` so.

    A file with a column `path` holds scores: they must cover the run's test part, and are judged as the run's own are.
    One without holds metrics. InputError where the file is neither or breaks a rule, NotOfThisRun where it lacks test
    pictures.
    """
    table = read_foreign_table(path, name)
    rows = _of_data_set(table, {said(one) for one in called if one})
    if "path" in table.columns:
        return _ForeignReader(table, path, beside).scores(rows)
    return _ForeignReader(table, path, beside).metrics(rows)


def _of_data_set(table: ForeignTable, called: set[str]) -> list[int]:
    """The rows that are of a run that is called so; all where the file does not say."""
    cells = table.columns.get(DATA_SET)
    if cells is None:
        return list(range(len(table)))
    rows = [row for row, cell in enumerate(cells) if said(cell) in called]
    if not rows:
        raise NotOfThisRun(
            f"{table.name}: no row's `{DATA_SET}` is {words(sorted(called), 6)}; the file has "
            f"{words([printable(one) for one in dict.fromkeys(cells)], 6)}."
        )
    return rows


@dataclass(frozen=True)
class _ForeignReader:
    """Makes the models of one table, beside one run."""

    table: ForeignTable
    path: Path
    beside: RunData

    def scores(self, rows: Sequence[int]) -> ForeignData:
        truth = self._truth()
        columns = ScoreColumns(self.table, self.beside.task, truth)
        places = self._places(rows, truth)
        if not places:
            self._in_order(rows, places, truth, set())
        columns.check()
        used = columns.used
        answers: dict[str, dict[int, Answers]] = {}
        for (model, seed), of_model in self._models(rows).items():
            found = columns.answers(self._in_order(of_model, places, truth, used))
            answers.setdefault(model, {})[seed] = found
        self._say_unread(used)
        kept, verdicts = {}, {}
        for model, by_seed in answers.items():
            kept[model] = _as_kept(by_seed, truth)
            lines = [one.verdicts for one in by_seed.values() if one.verdicts is not None]
            verdicts[model] = np.stack(lines) if lines else None
        self._say_what_is_odd(answers)
        figures = {model: {seed: one.metrics for seed, one in by.items()} for model, by in answers.items()}
        return self._data(figures, kept, verdicts, places)

    def metrics(self, rows: Sequence[int]) -> ForeignData:
        known = {one.name: one for one in (*metrics_of(self.beside.task), *self.beside.own_metrics)}
        keys = {column_key(name): one for row in known.values() for name, one in ((row.name, row), (row.label, row))}
        found = {key: keys[key] for key in self.table.columns if key in keys}
        if not found:
            raise NotOfThisRun(
                f"{self.table.name} holds no figures of {self.beside.task}. Scores need a column `path` beside the "
                f"answers ({'`score`' if self.beside.task == 'detection' else 'one a class, or `prediction`'}); a "
                f"table of metrics needs columns named as they are: {words(list(known), 20)}; both may have `model` "
                f"and `seed`. It has the columns {words(list(self.table.headed.values()), 12)}."
            )
        values = {key: dict(zip(rows, self.table.numbers(key, rows, gaps=True), strict=True)) for key in found}
        for key, row in found.items():
            self._check_bounds(key, row, values[key])
        figures: dict[str, dict[int, dict[str, float]]] = {}
        for (model, seed), of_model in self._models(rows).items():
            several = [
                {found[key].name: float(values[key][row]) for key in found if np.isfinite(values[key][row])}
                for row in of_model
            ]
            if any(one != several[0] for one in several):
                raise self.table.refused(
                    f"{self.table.rows(of_model)} hold different figures of one model{self._of_seed(seed)}. Repeats "
                    "need a column `seed`, models a column `model`."
                )
            if not several[0]:
                raise self.table.refused(f"{self.table.rows(of_model)} hold no figure.")
            figures.setdefault(model, {})[seed] = several[0]
        self._say_unread(set(found))
        return self._data(figures, {}, dict.fromkeys(figures), rows)

    def _check_bounds(self, key: str, metric: Metric, values: Mapping[int, float]) -> None:
        low, high = metric.bounds
        bad = [row for row, value in values.items() if np.isfinite(value) and not low <= value <= high]
        if bad:
            raise self.table.refused(
                f"column `{self.table.headed[key]}` must lie between {low:g} and {high:g} "
                f"({self.table.rows(bad)}: {values[bad[0]]:g}). Write shares, not per cent."
            )

    def _truth(self) -> VariantScores:
        """The test pictures of the run, with their labels, as any of its models kept them."""
        reason = "no cell was evaluated"
        for cells in self.beside.completed.values():
            for cell in cells:
                kept, reason = read_scores(self.beside, [cell])
                if kept is not None:
                    return kept
        raise self.table.refused(
            f"it can't be judged beside {printable(self.beside.run.root)}: what is true of its test pictures is kept "
            f"with the scores of its models, and {reason}."
        )

    def _models(self, rows: Sequence[int]) -> dict[tuple[str, int], list[int]]:
        """The rows of each model and seed, in the order of the file."""
        key = self.table.first_of("model", "variant")
        stem = self.path.name
        for ending in ENDINGS:
            stem = stem[: -len(ending)] if stem.lower().endswith(ending) else stem
        names = [stem] * len(rows) if key is None else self.table.texts(key, rows)
        seeds = self.table.whole_numbers("seed", rows) if "seed" in self.table.columns else [0] * len(rows)
        found: dict[tuple[str, int], list[int]] = {}
        for row, name, seed in zip(rows, names, seeds, strict=True):
            found.setdefault((name, seed), []).append(row)
        return dict(sorted(found.items(), key=lambda one: one[0][1]))

    def _of_seed(self, seed: int) -> str:
        return f", seed {seed}" if "seed" in self.table.columns else ""

    def _places(self, rows: Sequence[int], truth: VariantScores) -> dict[int, int]:
        """Row -> the place of the test picture that it names; the others are counted, aloud."""
        tested = [os.fsdecode(path) for path in truth.paths]
        pictures = self.beside.split.get("pictures")
        listed = [str(one[0]) for one in pictures or [] if isinstance(one, list) and len(one) == 2]
        everything = list(dict.fromkeys([*tested, *listed]))
        paths = self.table.texts("path", rows)
        joined = join_paths(paths, everything, range(len(tested)))
        found = {row: place for row, place in zip(rows, joined.places, strict=True) if place is not None}
        if joined.how and found:
            self.table.say(f"{printable(joined.how)}.")
        others = sum(place >= len(tested) for place in found.values())
        if others:
            self.table.say(
                f"{plural(others, 'row')} of it {'is' if others == 1 else 'are'} of pictures that do not test (they "
                "train or validate) and left out."
            )
        unknown = [path for path, place in zip(paths, joined.places, strict=True) if place is None]
        if unknown and found:
            self.table.say(
                f"{plural(len(unknown), 'row')} of it {'is' if len(unknown) == 1 else 'are'} left out, as no picture "
                f"of the run, or several, can be meant, such as {printable(unknown[0])}."
            )
        return {row: place for row, place in found.items() if place < len(tested)}

    def _in_order(
        self, rows: Sequence[int], places: Mapping[int, int], truth: VariantScores, used: set[str]
    ) -> list[int]:
        """One row for each test picture, in their order."""
        first: dict[int, int] = {}
        again = 0
        for row in rows:
            place = places.get(row)
            if place is None:
                continue
            other = first.setdefault(place, row)
            if other != row:
                again += 1
                unlike = [key for key in used & set(self.table.columns) - {"path"}
                          if self.table.columns[key][row] != self.table.columns[key][other]]  # fmt: skip
                if unlike:
                    raise self.table.refused(
                        f"{self.table.rows((other, row))} are of one picture, "
                        f"{printable(os.fsdecode(truth.paths[place]))}, and differ in "
                        f"{words(sorted(f'`{self.table.headed[key]}`' for key in unlike))}. Repeats need a column "
                        "`seed`, models a column `model`."
                    )
        missing = [place for place in range(len(truth.paths)) if place not in first]
        if missing:
            examples = words([printable(os.fsdecode(truth.paths[place])) for place in missing[:SHOWN]], SHOWN)
            theirs = words([printable(self.table.columns["path"][row]) for row in rows[:SHOWN]], SHOWN)
            raise NotOfThisRun(
                f"{self.table.name} does not cover the test part of {printable(self.beside.run.root)}: "
                f"of {plural(len(truth.paths), 'test picture')} it lacks {count(len(missing))}, such as {examples}; it "
                f"has paths such as {theirs}. A model must answer for the same pictures: score those that split.json "
                "calls test.",
                len(first),
            )
        if again:
            self.table.say(
                f"{plural(again, 'row')} of it {'repeats' if again == 1 else 'repeat'} another with the same answer "
                f"and {'counts' if again == 1 else 'count'} once."
            )
        return [first[place] for place in range(len(truth.paths))]

    def _say_unread(self, used: set[str]) -> None:
        key = self.table.first_of("model", "variant")
        read = used | {"seed", DATA_SET} | ({key} if key else set())
        left = [name for one, name in self.table.headed.items() if one not in read]
        if left:
            self.table.say(f"columns that say nothing here: {words(left, 8)}.")

    def _say_what_is_odd(self, answers: Mapping[str, Mapping[int, Answers]]) -> None:
        """What a reader should know of the models' figures before he believes them."""
        for model, by_seed in answers.items():
            below = [one.metrics["roc_auc"] < 0.5 for one in by_seed.values() if "roc_auc" in one.metrics]
            if below and all(below):
                self.table.say(
                    f"the ROC-AUC of {printable(model)} is below one half: a higher score must mean a stranger picture."
                )
        held = {name for by_seed in answers.values() for one in by_seed.values() for name in one.metrics}
        absent = [
            row for row in metrics_of(self.beside.task) if row.name in self.beside.metrics and row.name not in held
        ]
        of_pixels = [row.label for row in absent if row.pixel]
        if of_pixels:
            self.table.say(f"anomaly maps of other tools are not read, so its models have no {words(of_pixels)}.")
        if lacking := [row.label for row in absent if not row.pixel]:
            needs = (
                "it holds no class probabilities" if self.beside.task == "classification"
                else "it holds neither threshold nor verdict" if "score" in self.table.columns
                else "it holds no score"
            )  # fmt: skip
            self.table.say(f"{needs}, so its models have no {words(lacking)}.")

    def _data(
        self,
        figures: Mapping[str, Mapping[int, dict[str, float]]],
        kept: Mapping[str, VariantScores],
        verdicts: Mapping[str, NDArray[np.bool_] | None],
        rows: Iterable[int],
    ) -> ForeignData:
        """What was found, as a run's records and scores; each model's name carries the mark."""
        origin = self.beside.counted[0].provenance.model_copy(
            update={"experiment": "", "code": "", "packages": {}, "device": "", "host": "", "finished": ""}
        )
        records = tuple(
            TrialRecord(
                stage="evaluation", family=FAMILY, variant=f"{model}{MARK}", trial=0, seed=seed, split="test",
                config={}, metrics=metrics, status="completed", seconds=0.0, provenance=origin,
            )
            for model, by_seed in figures.items()
            for seed, metrics in sorted(by_seed.items())
        )  # fmt: skip
        return ForeignData(
            RunFolder(self.path.expanduser().absolute()),
            {},
            self.beside.split,
            records,
            self.table.remarks,
            own_metrics=self.beside.own_metrics,
            beside=self.beside,
            kept={f"{model}{MARK}": one for model, one in kept.items()},
            verdicts={f"{model}{MARK}": one for model, one in verdicts.items()},
            rows=frozenset(rows),
        )


def _as_kept(answers: Mapping[int, Answers], truth: VariantScores) -> VariantScores:
    """One model's answers by seed, as a run keeps its own."""
    seeds = sorted(answers)
    return replace(
        truth,
        seeds=tuple(seeds),
        scores=np.stack([answers[seed].scores for seed in seeds]),
        orders=(np.arange(len(truth.labels)),) * len(seeds),
        validation=(None,) * len(seeds),
    )

"""The division for detection: normal pictures alone train; anomalies are for validation, if it has any, and test.

Kept apart from the division for classification, in which every class is in every part.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts.listing import PARTS, Part
from orchestrator.data.split.grouped_division import divided, folds_of, strata_of, why_few
from orchestrator.data.split.settings import SplitSettings
from trainables.errors import InputError

TRAIN, VALIDATION, TEST = range(len(PARTS))
LEAST_NORMALS = 2
"""In train and in validation each: one picture has no spread to learn, and one score places no threshold."""
NORMALS_ONLY = (
    "Validation holds normal pictures only, so no detection metric can choose anything there: the configuration is "
    "fixed or chosen by validation loss, and the threshold is a percentile of normals; or move a share of the test "
    "anomalies to validation (data.split.anomalies_to_validation)."
)


class DetectionDivision:
    """Divides one data set; each step changes `numbers`, and `remarks` says what the user should know."""

    def __init__(
        self,
        parts: Sequence[Part | None],
        kinds: NDArray[np.int64],
        classes: Sequence[str],
        normal: str,
        groups: NDArray[np.int64],
        settings: SplitSettings,
    ) -> None:
        """`kinds` (N,) are indexes into `classes`, of which `normal` is one; parts are all None, or none is."""
        self._kinds = kinds
        self._classes = classes
        self._normal = normal
        self._groups = groups
        self._settings = settings
        self._supplied = {part for part in parts if part is not None}
        self._generator = np.random.default_rng(settings.repeat_seed)
        self.anomalous: NDArray[np.bool_] = kinds != list(classes).index(normal)
        self.numbers = np.array([PARTS.index(part or "train") for part in parts], dtype=np.int64)
        self.remarks: list[str] = []
        self._cut: list[Part] = []
        """The parts that take normal pictures from train, and train itself."""

    def divide(self) -> NDArray[np.int64]:
        """The part (its index in PARTS) of each picture. InputError where a part would lack what it needs."""
        if self._supplied:
            self._refuse_anomalies_in_train()
            self._cut_normals()
        elif self._settings.folds is not None:
            self._divide_folds(self._settings.folds)
        else:
            self._divide_all()
        if self._settings.anomalies_to_validation:
            self._move_anomalies()
        self._refuse_empty()
        self._refuse_few()
        if not self._count(VALIDATION, True):
            self.remarks.append(NORMALS_ONLY)
        return self.numbers

    def _divide_all(self) -> None:
        """No folder says a part: groups with an anomaly go to validation or test, the others to all three."""
        shares: dict[Part, float] = {part: getattr(self._settings, part) for part in PARTS}
        rows = np.flatnonzero(self.anomalous)
        different = len(np.unique(self._groups[rows]))
        if different < 2:
            raise InputError(
                f"There are {len(rows)} anomalies of {different} different pictures{self._settings.as_one}, and "
                "validation and test need one each. Add anomalies, or give folders train and test, with all anomalies "
                "in test."
            )
        chosen = self._divide_kinds(rows, {"validation": shares["validation"], "test": shares["test"]})
        part_of = np.full(int(self._groups.max()) + 1, TRAIN)
        part_of[self._groups[rows]] = chosen
        self.numbers = part_of[self._groups]
        together = np.isin(self._groups, self._groups[rows])
        placed: dict[Part, int] = {
            part: int(np.sum(together & ~self.anomalous & (self.numbers == number)))
            for number, part in enumerate(PARTS)
        }
        free, alike = np.flatnonzero(~together), self._settings.grouped
        why = why_few(np.flatnonzero(~self.anomalous), free, self._groups, self._settings)
        self.numbers[free] = divided(free, self._groups, shares, self._normal, self._generator, placed, why, alike)

    def _divide_folds(self, folds: int) -> None:
        """The test part is one fold of every kind and of the normal pictures; validation has all other anomalies."""
        everywhere = np.arange(len(self._kinds))
        together = np.isin(self._groups, self._groups[self.anomalous])
        # A group with an anomaly goes by its kind, however many normal pictures there are in it.
        kinds = np.where(self.anomalous | ~together, self._kinds, -1)
        own = np.flatnonzero(kinds >= 0)
        strata = strata_of(self._groups[own], kinds[own], len(self._classes))
        chosen = folds_of(everywhere, self._groups, strata, folds, self._generator)
        for name, side in (("normal pictures", ~self.anomalous), ("anomalies", self.anomalous)):
            if len(np.unique(chosen[side])) < folds:
                raise InputError(
                    f"data.split.folds: {folds} needs {name} in every fold, and there are "
                    f"{len(np.unique(self._groups[side]))} different ones{self._settings.as_one}. Ask for fewer folds, "
                    f"or add {name}."
                )
        test = chosen == self._settings.fold
        self.numbers[:] = TRAIN
        self.numbers[together] = VALIDATION
        self.numbers[test] = TEST
        free = np.flatnonzero(~together & ~test)
        shares: dict[Part, float] = {"train": self._settings.train, "validation": self._settings.validation}
        placed: dict[Part, int] = {"validation": self._count(VALIDATION, False)}
        # With the fold's own draws, or the same pictures would validate in every fold.
        generator = np.random.default_rng([self._settings.repeat_seed, 2, self._settings.fold or 0])
        why = why_few(np.flatnonzero(~self.anomalous & ~test), free, self._groups, self._settings)
        alike = self._settings.grouped
        self.numbers[free] = divided(free, self._groups, shares, self._normal, generator, placed, why, alike)
        self.remarks.append(
            f"Of each kind of anomaly the test part has one of {folds} folds; the others, "
            f"{self._count(VALIDATION, True)} anomalies, are all in validation, as none may train."
        )

    def _cut_normals(self) -> None:
        """Parts for which the folders supply no normal picture get some from train."""
        lacking = [part for number, part in enumerate(PARTS) if part != "train" and not self._count(number, False)]
        rows = np.flatnonzero(self.numbers == TRAIN)
        if not lacking or not len(rows):
            return
        self._cut = ["train", *lacking]
        shares: dict[Part, float] = {part: getattr(self._settings, part) for part in PARTS if part in lacking}
        shares = {"train": self._settings.train, **shares}
        why = why_few(rows, rows, self._groups, self._settings)
        self.numbers[rows] = divided(
            rows, self._groups, shares, self._normal, self._generator, why=why, alike=self._settings.grouped
        )
        self.remarks += [
            f"The {self._count(PARTS.index(part), False)} normal pictures of {part} are taken from train, as the "
            "data's folders supply none."
            for part in lacking
        ]

    def _move_anomalies(self) -> None:
        """Some source pictures of the test anomalies, with all their patches in test, go to validation."""
        share = self._settings.anomalies_to_validation
        key = f"data.split.anomalies_to_validation: {share:g}"
        before = self._count(VALIDATION, True)
        if before:
            raise InputError(
                f"{key} moves anomalies from test to validation, and validation already holds {before}. Leave it out."
            )
        rows = np.flatnonzero(self.anomalous & (self.numbers == TEST))
        if len(np.unique(self._groups[rows])) < 2:
            raise InputError(
                f"{key} needs anomalies of at least two different pictures in test, one for each side, and there are "
                f"{len(np.unique(self._groups[rows]))}{self._settings.as_one}. Leave it out, or add anomalies to test."
            )
        chosen = self._divide_kinds(rows, {"validation": share, "test": 1 - share})
        moved = (self.numbers == TEST) & np.isin(self._groups, self._groups[rows[chosen == VALIDATION]])
        self.numbers[moved] = VALIDATION
        shared, other = self._settings.shared, "" if self._settings.group is None else ", or another data.split.group"
        if not self._count(TEST, False):
            raise InputError(
                f"{key} would leave no normal picture in test, as all share {shared} with an anomaly that moves. "
                f"Choose a smaller share{other}."
            )
        normals = int(np.sum(moved & ~self.anomalous))
        beside = f", and {normals} normal pictures that share {shared} with them," if normals else ""
        self.remarks.append(
            f"{self._count(VALIDATION, True)} of {len(rows)} test anomalies were moved to validation{beside} as asked "
            f"({key}): test figures are of the pictures that stayed, and not those of the whole test part."
        )

    def _divide_kinds(self, rows: NDArray[np.int64], shares: dict[Part, float]) -> NDArray[np.int64]:
        """The part of each of these anomalies, each kind in proportion; kinds too small for that are taken together."""
        strata = strata_of(self._groups[rows], self._kinds[rows], len(self._classes))[self._groups[rows]]
        sizes = np.array([len(np.unique(self._groups[rows[strata == kind]])) for kind in range(len(self._classes))])
        small = sizes[strata] < len(shares)
        numbers, alike = np.full(len(rows), TEST), self._settings.grouped
        for kind in np.unique(strata[~small]).tolist():
            own = strata == kind
            numbers[own] = divided(rows[own], self._groups, shares, self._classes[kind], self._generator, alike=alike)
        if len(np.unique(self._groups[rows[small]])) >= len(shares):
            numbers[small] = divided(rows[small], self._groups, shares, "anomalies", self._generator, alike=alike)
        return numbers

    def _count(self, number: int, anomalous: bool) -> int:
        return int(np.sum((self.numbers == number) & (self.anomalous == anomalous)))

    def _refuse_anomalies_in_train(self) -> None:
        rows = np.flatnonzero(self.anomalous & (self.numbers == TRAIN))
        if len(rows):
            kinds = sorted({self._classes[kind] for kind in self._kinds[rows].tolist()})
            raise InputError(
                f"The data's folders put {len(rows)} anomalies in train ({', '.join(kinds[:5])}), and detection trains "
                f"on normal pictures ({self._normal!r}) alone. Move them to test or validation."
            )

    def _refuse_empty(self) -> None:
        needs = [(TRAIN, False), (VALIDATION, False), (TEST, False), (TEST, True)]
        for number, anomalous in needs:
            if not self._count(number, anomalous):
                what = "anomaly" if anomalous else f"normal picture ({self._normal!r})"
                raise InputError(
                    f"There is no {what} in {PARTS[number]}. Detection needs normal pictures in all three parts and "
                    f"anomalies in test. Add some to the folder {PARTS[number]}, or put all class folders side by side "
                    "to have the parts cut."
                )

    def _refuse_few(self) -> None:
        for part, number in (("train", TRAIN), ("validation", VALIDATION)):
            count = self._count(number, False)
            if count < LEAST_NORMALS:
                shares = f"data.split: train {self._settings.train:g}, validation {self._settings.validation:g}"
                way = f"Add normal pictures to the folder {part}."
                if part in self._cut:
                    way = f"Add normal pictures to train, or cut it otherwise ({shares})."
                elif not self._supplied:
                    way = f"Add normal pictures, or divide them otherwise ({shares}, test {self._settings.test:g})."
                raise InputError(
                    f"There is {count} normal picture ({self._normal!r}) in {part}, and "
                    f"at least {LEAST_NORMALS} are needed: in train to learn what normal is, in validation to place a "
                    f"threshold. {way}"
                )

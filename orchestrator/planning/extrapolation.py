"""From a few short trainings to a whole one: fixed costs apart from what each picture, step and epoch costs.

A training of E epochs on n pictures, with v to validate on, is taken to cost

    build + (w0 + w1 (n + v)) + E (c + s n + q v)

where w is what the first epoch costs beside the others (first steps, features that are computed once), c what each
epoch costs whatever the data, s a training picture at this batch size, q a validation picture. Families that fit at
once have no epochs: their time follows n to a power that is fitted and bounded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

STEEPEST = 2.5
"""The most that the power of a fit at once may be: above, it is the noise of short probes."""
WORTH_A_POWER = 0.1
"""Seconds: what takes less is all overhead, and tells no power."""


@dataclass(frozen=True)
class Probed:
    """One short training."""

    pictures: int
    validated: int
    build: float
    """Seconds until there is a model."""
    epochs: tuple[float, ...]
    """Seconds of each epoch, scoring of validation included."""
    scoring: float
    """Seconds a picture of scoring, once warm."""
    once: float = 0.0
    """Seconds that only the first such training had: what later ones find again."""
    cold: bool = False
    """Whether no training had run in its process before: some of what it took is then what a process warms up by."""


@dataclass(frozen=True)
class Training:
    """What a training of one configuration costs."""

    build: float
    first: float
    """Seconds that the first epoch takes beside the others: w0."""
    first_picture: float
    """The same a picture: w1."""
    epoch: float
    """Seconds of each epoch, whatever the data: c."""
    picture: float
    """Seconds a training picture and epoch: s."""
    validating: float
    """Seconds a validation picture and epoch: q."""
    scoring: float
    """Seconds a picture that is scored once training has ended, and was not seen before."""
    once_picture: float = 0.0
    """Seconds a picture that only the first training of a search has, and later ones find again."""
    probed: tuple[int, float] | None = None
    """Of a family that fits at once: the largest probe's pictures, and its seconds without scoring."""
    power: float = 1.0
    """By which the seconds of such a fit grow with its pictures."""

    @property
    def at_once(self) -> bool:
        """Whether it has no epochs."""
        return self.probed is not None

    def seconds(self, pictures: int, validated: int, epochs: float, *, power: float | None = None) -> float:
        """Of a whole training; `power` instead of the fitted one."""
        if self.probed is not None:
            most, seconds = self.probed
            grown = math.pow(pictures / most, self.power if power is None else power)
            return self.build + seconds * grown + self.scoring * validated
        warm = self.first + self.first_picture * (pictures + validated)
        return self.build + warm + epochs * (self.epoch + self.picture * pictures + self.validating * validated)

    def with_power(self, power: float) -> "Training":
        """The same that grows by another power, which another configuration's probes have told."""
        return replace(self, power=power)

    def once(self, pictures: int, validated: int) -> float:
        """Seconds that the first training of a search has beside."""
        return self.once_picture * (pictures + validated)


def fitted(probes: Sequence[Probed]) -> Training:
    """What probes of one configuration say, the smallest first; two sizes tell slopes, one alone a cost a picture."""
    assert probes, "at least one probe"
    last = probes[-1]
    if len(last.epochs) == 1:
        return _at_once(probes)
    build, most = min(one.build for one in probes), last.pictures
    seen = [one.pictures + one.validated for one in probes]
    # What is scored again each epoch may be at hand by then, as features are: it costs no more than the mean picture.
    validating = min(last.scoring, _later(last) / seen[-1])
    rest = [max(0.0, _later(one) - validating * one.validated) for one in probes]
    extra = [max(0.0, one.epochs[0] - _later(one)) for one in probes]
    if most > probes[0].pictures:
        picture = min(max(0.0, rest[-1] - rest[0]) / (most - probes[0].pictures), rest[-1] / most)
        first_picture = min(max(0.0, extra[-1] - extra[0]) / max(1, seen[-1] - seen[0]), extra[-1] / seen[-1])
    else:
        picture, first_picture = rest[-1] / most, extra[-1] / seen[-1]
        if last.cold:  # warming up is no cost a picture; what unseen pictures cost more to score than seen ones is
            first_picture = min(first_picture, last.scoring - validating)
    return Training(
        build=build,
        first=extra[-1] - first_picture * seen[-1],
        first_picture=first_picture,
        epoch=rest[-1] - picture * most,
        picture=picture,
        validating=validating,
        scoring=last.scoring,
        once_picture=last.once / seen[-1],
    )


def _later(probe: Probed) -> float:
    """Seconds of the epochs after the first, the quickest: what else the machine did is no part of it."""
    return min(probe.epochs[1:])


def _at_once(probes: Sequence[Probed]) -> Training:
    last = probes[-1]
    times = [max(1e-9, one.epochs[0] - one.scoring * one.validated) for one in probes]
    power = 1.0
    if len(probes) > 1 and last.pictures > probes[-2].pictures and times[-2] > WORTH_A_POWER:
        power = math.log(times[-1] / times[-2]) / math.log(last.pictures / probes[-2].pictures)
        power = min(STEEPEST, max(0.0, power))
    return Training(
        build=min(one.build for one in probes),
        first=0.0,
        first_picture=0.0,
        epoch=0.0,
        picture=0.0,
        validating=0.0,
        scoring=last.scoring,
        probed=(last.pictures, times[-1]),
        power=power,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])

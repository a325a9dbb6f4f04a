"""The keys of every family that stands on frozen features."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trainables.configurations.backbones import BackboneName, WeightsName, check_weights_name
from trainables.errors import InputError
from trainables.interface import FamilyConfig


def parse_layers(given: Any) -> Any:
    """`[2, 3]`, `"2+3"` or `2` -> `"2+3"`. Raises InputError for what is no choice out of layers 1 to 4."""
    parts = given.split("+") if isinstance(given, str) else given if isinstance(given, (list, tuple)) else [given]
    names = [str(part).strip() for part in parts]
    if not names or len(set(names)) < len(names) or not set(names) <= {"1", "2", "3", "4"}:
        raise InputError(f"layers is {given!r}; it must hold some of 1, 2, 3, 4, each once, as in [2, 3] or '2+3'.")
    return "+".join(sorted(names))


Layers = Annotated[str, BeforeValidator(parse_layers)]
"""Some of a backbone's four stages, as "2+3"; an experiment may also write [2, 3]."""


class FrozenFeaturesConfig(FamilyConfig):
    """The keys of every family that stands on frozen features."""

    backbone: BackboneName = "resnet50"
    """Any convolutional classification model of torchvision; or one's own: module:factory, file.py:factory."""
    weights: WeightsName = "auto"
    """`auto`: torchvision's file if it is on this machine, else random; `none`; a name such as DEFAULT; a path; or
    module:function of a function that gives a path."""
    layers: Layers = "1+2+3+4"
    """Some of the four stages; on other backbones than ResNets the last maps at strides 4, 8, 16 and 32."""
    reduction: int = Field(4, ge=1)
    """Each stage's channels are projected to one in so many; 1: not projected."""
    padding: Literal["reflect", "zeros"] = "reflect"
    """At the borders of a picture. reflect: 32 more pixels on each side, mirrored, whose features are cut off again, so
    that the zeros which convolutions pad with stay further away from the border; it costs their computation."""

    @property
    def stages(self) -> tuple[int, ...]:
        """The chosen stages, from 0."""
        return tuple(int(layer) - 1 for layer in self.layers.split("+"))

    def check_files(self) -> None:
        check_weights_name(self.backbone, self.weights)

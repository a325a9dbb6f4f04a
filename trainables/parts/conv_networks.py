"""The three convolutional autoencoders of seed 004: A, B and C, layer by layer."""

from torch import nn

from trainables.configurations.conv_autoencoder import Architecture

BOTTLENECK = {"A": 128, "B": 16, "C": 128}
"""The published channels of the code, the smallest feature map (H/8, W/8)."""
DIVISOR = 8
"""What both sides of a picture must be divisible by."""


def conv_autoencoder(architecture: Architecture, channels: int, bottleneck: float = 1.0) -> nn.Sequential:
    """Pictures (B, C, H, W) -> their reconstructions in [0, 1]; H and W divisible by 8.

    The code has `bottleneck` times the published channels, at least one. As published, A and C are one network, written
    in two ways: ReLU after the first four convolutions, none after the others.
    """
    code = code_channels(architecture, bottleneck)
    return _strided(channels, code) if architecture in ("A", "C") else _pooled(channels, code)


def code_channels(architecture: Architecture, bottleneck: float) -> int:
    """The channels of the code."""
    return max(1, round(BOTTLENECK[architecture] * bottleneck))


def _strided(channels: int, code: int) -> nn.Sequential:
    """A and C: strides of 2 going down, nearest-neighbour upsampling going up."""
    down: list[nn.Module] = []
    for inputs, outputs in ((channels, 32), (32, 64)):
        down += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        down += [nn.Conv2d(outputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
    down += [nn.Conv2d(64, 128, 3, padding=1), nn.Conv2d(128, 128, 3, stride=2, padding=1)]
    down += [nn.Conv2d(128, code, 3, padding=1)]
    up: list[nn.Module] = []
    for inputs, outputs in ((code, 64), (64, 32), (32, channels)):
        up += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
    return nn.Sequential(*down, *up, nn.Sigmoid())


def _pooled(channels: int, code: int) -> nn.Sequential:
    """B: max pooling going down, a 1×1 bottleneck, transposed convolutions going up."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(64, code, 1), nn.ReLU()]
    for inputs, outputs in ((code, 64), (64, 32), (32, channels)):
        layers += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())

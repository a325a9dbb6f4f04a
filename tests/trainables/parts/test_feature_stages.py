from pathlib import Path

import pytest
import torch
from torch import nn

from trainables.errors import InputError
from trainables.parts.backbones import backbone_on_meta, build_backbone
from trainables.parts.feature_stages import Stage, StageReader, find_stages, widen_first_convolution

CODE = """
from torch import nn


class Preactivated(nn.Module):
    '''Each stage ends in a sum that the next one changes in place.'''

    def __init__(self, side=None):
        super().__init__()
        self.side = side
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.ModuleList(nn.Conv2d(6, 6, 2, 2) for _ in range(3))
        self.pool = nn.AdaptiveAvgPool2d(8)

    def forward(self, x):
        if self.side is not None and x.shape[-1] != self.side:
            raise RuntimeError(f"made for {self.side}")
        x = self.stem(x)
        for down in self.down:
            x = down(self.relu(x))
        return self.pool(x)


class Named(nn.Module):
    '''A ResNet for small pictures: the names of one, at other strides.'''

    def __init__(self):
        super().__init__()
        widths = (3, 4, 8, 12, 16)
        for number in range(1, 5):
            stride = 1 if number == 1 else 2
            layer = nn.Conv2d(widths[number - 1], widths[number], 3, stride, 1)
            self.add_module(f"layer{number}", layer)

    def forward(self, x):
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x


def build():
    return Preactivated()


def build_for_96():
    return Preactivated(side=96)


def build_named():
    return Named()


def build_grey():
    return nn.Conv2d(1, 4, 3)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(CODE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", (64, 128, 256, 512)), ("resnet50", (256, 512, 1024, 2048))],
)
@pytest.mark.parametrize("given", [3, 4])
def test_the_stages_of_a_resnet_are_its_layers(name: str, channels: tuple[int, ...], given: int) -> None:
    expected = tuple(Stage(f"layer{number + 1}", 0, channels[number], 4 * 2**number) for number in range(4))
    assert find_stages(name, (40, 72), given) == expected


@pytest.mark.parametrize(
    ("name", "paths", "channels"),
    [
        ("densenet121", ["features.denseblock1", "features.denseblock2", "features.denseblock3", "features"],
         [256, 512, 1024, 1024]),
        ("mobilenet_v2", ["features.3", "features.6", "features.13", "features"], [24, 32, 96, 1280]),
        ("regnet_y_400mf", ["trunk_output.block1", "trunk_output.block2", "trunk_output.block3", "trunk_output"],
         [48, 104, 208, 440]),
    ],
)  # fmt: skip
def test_of_other_backbones_they_are_the_last_maps_of_each_resolution(
    name: str, paths: list[str], channels: list[int]
) -> None:
    stages = find_stages(name, (64, 64))
    assert [stage.path for stage in stages] == paths
    assert [stage.channels for stage in stages] == channels
    assert [stage.stride for stage in stages] == [4, 8, 16, 32]


@pytest.mark.parametrize(("name", "strides"), [("vit_b_32", "4, 8, 16"), ("swin_t", "8, 16"), ("squeezenet1_1", "32")])
def test_a_backbone_without_them_is_refused(name: str, strides: str) -> None:
    with pytest.raises(InputError, match=rf"no four stages.*stride of {strides} pixels.*such as resnet50"):
        find_stages(name, (64, 64))


def test_a_picture_that_does_not_pass_is_refused() -> None:
    with pytest.raises(InputError, match=r"24 x 24 pixels don't fit"):
        find_stages("inception_v3", (24, 24))


def test_the_reader_gives_the_layers_outputs_and_stops_early() -> None:
    model = build_backbone("resnet18", (64, 64)).eval()
    found = find_stages("resnet18", (64, 64))
    reached: list[str] = []
    for name in ("layer3", "layer4", "fc"):
        model.get_submodule(name).register_forward_hook(lambda module, inputs, output, name=name: reached.append(name))
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        second = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(pictures)))))
        third = model.layer2(second)
        reader = StageReader(model, (found[1], found[0]))
        for _ in range(2):
            maps = reader(pictures)
            assert torch.equal(maps[0], third)
            assert torch.equal(maps[1], second)
    assert reached == []


def test_a_stage_that_the_next_changes_in_place_is_read_before(file: Path) -> None:
    name = f"{file}:build"
    stages = find_stages(name, (64, 64))
    assert [(stage.path, stage.call) for stage in stages[:3]] == [("relu", 0), ("relu", 1), ("relu", 2)]
    assert stages[3].path == "down.2", "adaptive pooling is no stage"
    with torch.random.fork_rng():
        model = build_backbone(name, (64, 64)).eval()
    reader = StageReader(model, (*stages[:1], Stage("stem", 0, 6, 4), *stages[3:]))
    with torch.no_grad():
        first, stem, _ = reader(torch.rand(1, 3, 64, 64))
    assert (stem < 0).any()
    assert torch.equal(first, stem.relu())


def test_a_backbone_built_for_one_size_is_read_at_that_size(file: Path) -> None:
    assert [stage.stride for stage in find_stages(f"{file}:build_for_96", (96, 96))] == [4, 8, 16, 32]
    with pytest.raises(InputError, match="made for 96"):
        find_stages(f"{file}:build_for_96", (64, 64))


def test_names_go_before_strides(file: Path) -> None:
    stages = find_stages(f"{file}:build_named", (32, 32))
    assert [(stage.path, stage.stride) for stage in stages] == [
        ("layer1", 1), ("layer2", 2), ("layer3", 4), ("layer4", 8)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_the_filter_for_depth_is_the_mean_of_the_others(name: str) -> None:
    model = build_backbone(name, (64, 64))
    before = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d)).weight.clone()
    widen_first_convolution(model, name)
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    assert torch.equal(first.weight[:, :3], before)
    assert torch.allclose(first.weight[:, 3], before.mean(dim=1))
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        output = model.eval()(grey.expand(-1, 4, -1, -1))
        first.weight[:, 3] = 0
        without = model(grey.expand(-1, 4, -1, -1))
    assert output.shape == (1, 1000)
    assert not torch.equal(output, without)


def test_a_backbone_that_can_not_take_depth_is_refused(file: Path) -> None:
    model = backbone_on_meta("googlenet", (64, 64))
    model.transform_input = True
    with pytest.raises(InputError, match=r"can't take depth as a fourth channel.*Set input: rgb"):
        widen_first_convolution(model, "googlenet")
    with pytest.raises(InputError, match="can't take depth"):
        find_stages(f"{file}:build_grey", (64, 64), 4)

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.cache import Cache
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts import kept_features as module
from trainables.parts.kept_features import KeptFeatures, check_frozen, network_digest, picture_ids

COUNT = 40


class Network:
    """Two outputs that tell which picture they are of; counts what it computes."""

    def __init__(self, name: str = "a", delay: float = 0.0) -> None:
        self.name, self.delay = name, delay
        self.computed: list[int] = []

    def features(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        self.computed.extend(rows.tolist())
        time.sleep(self.delay)
        pictures = torch.from_numpy(samples.pictures[rows]).float()
        depth = 0 if samples.depth is None else torch.from_numpy(samples.depth[rows]).mean(dim=(1, 2))
        return [pictures.mean(dim=(1, 2)) + (depth[:, None] if isinstance(depth, Tensor) else 0), pictures[..., 0]]

    def feature_key(self) -> Mapping[str, Any]:
        return {"name": self.name}


def pictures(seed: int = 0, count: int = COUNT) -> Samples:
    array = np.random.default_rng(seed).integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    paths = tuple(f"{seed}/{number}.png" for number in range(count))
    return Samples(array, np.zeros(count, dtype=np.int64), ("normal", "anomaly"), paths)


def kept(network: Network, cache: Path | Cache | None, data: str = "", **keys: Any) -> KeptFeatures:
    found = Cache(cache) if isinstance(cache, Path) else cache
    return KeptFeatures(network, Problem(("normal", "anomaly"), (4, 5, 3), 1, cache=found, data=data), **keys)


def assert_right(features: KeptFeatures, samples: Samples, rows: list[int]) -> None:
    means, reds = features(samples, np.array(rows))
    array = np.asarray(samples.pictures)[rows].astype(np.float32)
    np.testing.assert_allclose(means.numpy(), array.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(reds.numpy(), array[..., 0])


@pytest.fixture(params=[module.RESIDENT, 0], ids=["resident", "gathered"])
def resident(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESIDENT", request.param)


@pytest.mark.usefixtures("resident")
@pytest.mark.parametrize("data", ["", "a fingerprint"])
def test_each_picture_is_computed_once_for_all_that_want_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.setattr(module, "PART_PICTURES", 16)
    samples = pictures()
    first, second = Network(), Network()
    for network in (first, second):
        features = kept(network, tmp_path, data)
        with features.opened(samples):
            assert_right(features, samples, [39, 0, 17, 0])
            assert_right(features, samples, list(range(COUNT)))
    assert sorted(first.computed) == list(range(COUNT))
    assert second.computed == []


def test_other_parts_of_the_data_compute_what_is_new_alone(tmp_path: Path) -> None:
    samples, network = pictures(), Network()
    features = kept(network, tmp_path)
    with features.opened(samples.select(np.arange(30))):
        pass
    network.computed.clear()
    order = np.random.default_rng(1).permutation(COUNT)
    shuffled = samples.select(order)
    with features.opened(shuffled):
        assert_right(features, shuffled, list(range(COUNT)))
    assert sorted(order[network.computed]) == list(range(30, COUNT))


def test_pictures_that_are_equal_share_their_features(tmp_path: Path) -> None:
    samples, network = pictures(count=6), Network()
    features = kept(network, tmp_path)
    with features.opened(samples):
        pass
    twice = replace(samples.select(np.array([0, 1, 0, 5, 1, 0])), paths=tuple("abcdef"))
    with features.opened(twice):
        assert_right(features, twice, list(range(6)))
    assert len(network.computed) == 6


def test_another_network_or_another_depth_has_its_own(tmp_path: Path) -> None:
    samples = pictures()
    deep = replace(samples, depth=np.ones((COUNT, 4, 5), dtype=np.float32))
    deeper = replace(samples, depth=np.full((COUNT, 4, 5), 2, dtype=np.float32))
    for network, given in ((Network(), samples), (Network("b"), samples), (Network(), deep), (Network(), deeper)):
        features = kept(network, tmp_path, depth=given.depth is not None)
        with features.opened(given):
            features(given, np.arange(COUNT))
        assert len(network.computed) == COUNT


def test_outside_of_what_is_open_nothing_is_kept(tmp_path: Path) -> None:
    samples, network = pictures(), Network()
    features = kept(network, tmp_path)
    for _ in range(2):
        assert_right(features, samples, [3, 4])
    assert network.computed == [3, 4, 3, 4]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("resident")
@pytest.mark.parametrize(("megabytes", "computed"), [(1, COUNT), (0, COUNT + 3)])
def test_without_a_cache_memory_keeps_what_fits(megabytes: int, computed: int) -> None:
    samples, network = pictures(), Network()
    features = kept(network, None, megabytes=megabytes)
    with features.opened(samples):
        assert_right(features, samples, list(range(COUNT)))
        assert_right(features, samples, [1, 2, 3])
        assert len(network.computed) == computed
    assert features.room == features.most
    with features.opened_if_cached(samples):
        assert_right(features, samples, [5])
    assert len(network.computed) == computed + 1, "what is looked at once is not kept"


def test_memory_that_holds_a_part_keeps_that(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, network = pictures(), Network()
    features = kept(network, None)
    features.most = features.room = 10 * (3 + 20) * 4
    with features.opened(samples):
        network.computed.clear()
        assert_right(features, samples, list(range(COUNT)))
        assert network.computed == list(range(10, COUNT))


@pytest.mark.parametrize("most", [0, 4_000])
def test_a_full_cache_costs_time_and_is_told(tmp_path: Path, most: int) -> None:
    samples, network = pictures(), Network()
    features = kept(network, Cache(tmp_path, most_bytes=most))
    with features.opened(samples):
        assert_right(features, samples, list(range(COUNT)))
    assert "the cache's limit is reached" in features.facts()["features"]
    assert kept(network, None).facts() == {}


def test_a_broken_part_is_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_PICTURES", 16)
    samples, network = pictures(), Network()
    features = kept(network, tmp_path)
    with features.opened(samples):
        pass
    broken = sorted(tmp_path.glob("features/*/*.part/output1.npy"))[0]
    broken.write_bytes(broken.read_bytes()[:-4])
    network.computed.clear()
    again = kept(network, tmp_path)
    with again.opened(samples):
        assert_right(again, samples, list(range(COUNT)))
    assert 0 < len(network.computed) < COUNT


def test_two_at_a_time_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_PICTURES", 4)
    monkeypatch.setattr(module, "LOOK", 0.01)
    samples, networks = pictures(), [Network(delay=0.02), Network(delay=0.02)]
    wrong: list[Exception] = []

    def work(network: Network) -> None:
        try:
            features = kept(network, tmp_path)
            with features.opened(samples):
                assert_right(features, samples, list(range(COUNT)))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(network,)) for network in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sorted(networks[0].computed + networks[1].computed) == list(range(COUNT))
    assert all(network.computed for network in networks)


def test_a_stop_in_the_middle_loses_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_PICTURES", 8)
    samples, network = pictures(), Network()

    def pulse() -> None:
        if len(network.computed) >= 24:
            raise TimeoutError

    stopped = KeptFeatures(network, replace(kept(network, tmp_path).problem, pulse=pulse))
    with pytest.raises(TimeoutError), stopped.opened(samples):
        pass
    network.computed.clear()
    features = kept(network, tmp_path)
    with features.opened(samples):
        assert_right(features, samples, list(range(COUNT)))
    assert len(network.computed) <= COUNT - 16


def test_identities_are_those_of_the_values() -> None:
    samples = pictures()
    ids = picture_ids(samples, "", False)
    assert len(set(ids.tolist())) == COUNT
    renamed = replace(samples, paths=tuple(f"other/{number}" for number in range(COUNT)))
    np.testing.assert_array_equal(picture_ids(renamed, "", False), ids)
    changed = np.asarray(samples.pictures).copy()
    changed[7, 0, 0, 0] ^= 1
    differs = picture_ids(replace(samples, pictures=changed), "", False) != ids
    assert np.flatnonzero(differs).tolist() == [7]


def test_a_digest_tells_names_types_shapes_and_numbers_apart() -> None:
    given = [
        {"a": torch.zeros(4)},
        {"b": torch.zeros(4)},
        {"a": torch.zeros(2, 2)},
        {"a": torch.zeros(4, dtype=torch.int32)},
        {"a": torch.tensor([0.0, 0.0, 0.0, 1.0])},
        {"a": torch.zeros(4, dtype=torch.bfloat16)},
    ]
    assert len({network_digest(one) for one in given}) == len(given)
    with pytest.raises(InputError, match="other frozen weights of resnet18"):
        check_frozen("1", "2", "resnet18", "random initialisation")


def test_pictures_of_the_same_values_in_another_shape_have_their_own(tmp_path: Path) -> None:
    for height, width in ((4, 5), (5, 4)):
        blank = Samples(
            np.zeros((3, height, width, 3), dtype=np.uint8), np.zeros(3, dtype=np.int64), ("a",), tuple("abc")
        )
        problem = Problem(("a",), (height, width, 3), 1, cache=Cache(tmp_path))
        features = KeptFeatures(Network(), problem)
        with features.opened(blank):
            assert features(blank, np.arange(3))[1].shape == (3, height, width)

import numpy as np
import pytest
import torch

from trainables.errors import InputError
from trainables.interface import Samples
from trainables.parts.reconstruction import MeanSquaredError, check_pictures, reconstruction_gallery, to_rgb


def test_the_score_is_the_mean_of_the_map() -> None:
    rng = torch.Generator().manual_seed(0)
    pictures, drawn = torch.rand(3, 3, 4, 5, generator=rng), torch.rand(3, 3, 4, 5, generator=rng)
    objective = MeanSquaredError()
    scores, maps = objective.scores(drawn, pictures), objective.maps(drawn, pictures)
    expected = ((drawn.numpy() - pictures.numpy()) ** 2).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-6)
    assert maps.shape == (3, 4, 5)
    np.testing.assert_allclose(maps.mean(dim=(1, 2)).numpy(), expected, rtol=1e-6)
    losses, weights = objective.losses(drawn, pictures, torch.tensor([0, 1, 0]))
    assert torch.equal(losses, scores)
    assert weights.tolist() == [1, 1, 1]


def test_errors_are_computed_in_full_precision() -> None:
    pictures = torch.full((1, 1, 2, 2), 0.5001)
    drawn = torch.full((1, 1, 2, 2), 0.5, dtype=torch.bfloat16)
    assert float(MeanSquaredError().scores(drawn, pictures)) == pytest.approx(1e-8, rel=1e-2)


def test_a_gallery_leaves_out_what_lacks() -> None:
    pictures = np.arange(12 * 4 * 4, dtype=np.uint8).reshape(12, 4, 4, 1)
    asked: list[int] = []

    def halved(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(chosen))
        return chosen / np.float32(255), chosen / np.float32(510)

    def titles(labels: list[int]) -> list[str]:
        samples = Samples(pictures, np.array(labels, dtype=np.int64), ("normal", "anomaly"), ("",) * 12)
        return [gallery.title for gallery in reconstruction_gallery(samples, halved)]

    assert titles([0] * 12) == ["Reconstructions of normal pictures"]
    assert titles([1] * 12) == ["Reconstructions of anomalies"]
    assert len(titles([0, 1] * 6)) == 2
    assert asked == [8, 8, 6, 6]


def test_pictures_for_the_page_are_rounded_and_kept_in_range() -> None:
    values = np.array([-0.5, 0.0, 0.5, 1.0, 1.5], dtype=np.float32).reshape(5, 1, 1, 1)
    assert to_rgb(values).tolist() == [[[[value] * 3]] for value in (0, 0, 128, 255, 255)]


@pytest.mark.parametrize(
    ("shape", "step", "sizes"),
    [
        ((39, 72, 3), 8, "[32, 72] or [40, 72]"),
        ((33, 70, 3), 32, "[32, 64] or [64, 96]"),
        ((5, 5, 1), 8, "[8, 8]"),
    ],
)
def test_sizes_near_by_are_named(shape: tuple[int, int, int], step: int, sizes: str) -> None:
    with pytest.raises(InputError, match="divisible by") as caught:
        check_pictures("vae", "this", shape, step)
    assert str(caught.value).endswith(f"Set size: {sizes}.")


def test_fitting_sizes_pass() -> None:
    check_pictures("vae", "this", (40, 72, 3), 8)
    check_pictures("vae", "this", (7, 11, 1), 1)

import numpy as np
import pytest
import torch

from trainables.training.conversion import scale_into

ALL = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize("kind", ["array", "read-only", "mapped", "planes of a file"])
def test_every_value_has_the_bits_that_numpy_and_torch_give(kind: str, tmp_path: object) -> None:
    picture = np.stack([ALL, ALL[::-1], ALL.T.reshape(8, 32)], axis=-1)
    expected = torch.from_numpy(picture.copy()).to(torch.float32).div_(255).numpy()
    if kind == "read-only":
        picture.flags.writeable = False
    elif kind == "mapped":
        np.save(f"{tmp_path}/p.npy", picture)
        picture = np.load(f"{tmp_path}/p.npy", mmap_mode="r")
    elif kind == "planes of a file":
        picture = np.concatenate([picture, picture], axis=-1)[..., :3]
    target = np.empty((2, 8, 32, 3), dtype=np.float32)
    scale_into(target, [picture, picture[::-1]])
    np.testing.assert_array_equal(target[0], expected)
    np.testing.assert_array_equal(target[1], expected[::-1])


def test_as_many_pictures_as_there_is_room_for_are_asked_for() -> None:
    with pytest.raises(ValueError, match="longer"):
        scale_into(np.empty((2, 8, 32), dtype=np.float32), [ALL])

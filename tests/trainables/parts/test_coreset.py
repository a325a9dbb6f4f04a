import numpy as np
import torch

from trainables.parts.coreset import greedy_k_centre, nearest


def brute_greedy(vectors: np.ndarray, first: int, size: int) -> list[int]:
    """The same choice, one distance at a time."""
    chosen = [first]
    while len(chosen) < size:
        left = [
            -1.0 if row in chosen else min(np.linalg.norm(vectors[row] - vectors[other]) for other in chosen)
            for row in range(len(vectors))
        ]
        chosen.append(int(np.argmax(left)))
    return chosen


def test_the_greedy_choice_is_that_of_its_definition() -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 5))
    chosen = greedy_k_centre(torch.from_numpy(vectors), 20, np.random.default_rng(3)).tolist()
    assert chosen == brute_greedy(vectors, chosen[0], 20)
    assert len(set(chosen)) == 20


def test_each_vector_is_chosen_once_even_where_they_are_copies() -> None:
    vectors = torch.tensor([[0.0], [0.0], [0.0], [5.0], [5.0]])
    chosen = greedy_k_centre(vectors, 5, np.random.default_rng(0)).tolist()
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    assert {float(vectors[row]) for row in chosen[:2]} == {0.0, 5.0}


def test_wide_vectors_are_covered_better_than_at_random() -> None:
    random = np.random.default_rng(1)
    # Ten far groups, of which one holds nearly all: a random choice misses the small ones.
    centres = 50 * random.standard_normal((10, 200))
    groups = np.concatenate([np.zeros(500, dtype=int), np.arange(10)])
    vectors = torch.from_numpy((centres[groups] + random.standard_normal((510, 200))).astype(np.float32))
    greedy = greedy_k_centre(vectors, 10, np.random.default_rng(0))
    assert sorted(groups[greedy.numpy()]) == list(range(10))
    assert not torch.equal(greedy, greedy_k_centre(vectors, 10, np.random.default_rng(1)))


def test_the_nearest_is_found_and_its_distance_exact() -> None:
    random = torch.Generator().manual_seed(0)
    vectors, among = torch.randn(300, 7, generator=random) + 1000, torch.randn(40, 7, generator=random) + 1000
    among[5] = vectors[17]
    distances, rows = nearest(vectors, among)
    slow = (vectors[:, None].double() - among[None].double()).norm(dim=2)
    assert distances[17] == 0
    assert rows[17] == 5
    assert torch.allclose(distances.double(), slow.min(dim=1).values, atol=1e-3)
    assert torch.allclose(distances.double(), slow[torch.arange(300), rows], atol=1e-3)

"""How a model is trained: the epoch loop, one graded trial, what it goes on from, and what Ray Tune runs."""

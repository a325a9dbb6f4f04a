"""The machine that a run works on: Ray and its death, stopping, progress, a mirror, what there is to work with."""

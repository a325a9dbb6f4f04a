"""Scores to numbers: metrics, and what may be concluded from them."""

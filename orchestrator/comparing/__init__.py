"""Several runs -> what moved between them, and one leaderboard over them."""

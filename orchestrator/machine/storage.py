"""How a run's files reach the machines that work for it."""

from typing import Literal

Storage = Literal["shared", "shipped"]
"""shared: every machine sees the run's folder, the data and the store at the same paths. shipped: only the driver does,
and what others need or give travels by Ray."""

"""A reporter that remembers."""

from orchestrator.machine.progress import Reporter


class Told(Reporter):
    """Keeps what is said, and shows nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

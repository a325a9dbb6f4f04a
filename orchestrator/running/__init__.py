"""One run: checked before any work, its folder held, its stages in order; and how it stands."""

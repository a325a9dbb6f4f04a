"""The experiment file: its sections, its messages, what it seeks, and all that is checked before any work starts."""

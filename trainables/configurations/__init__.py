"""What each family's keys are, without what takes seconds to import: a wrong key is told at once."""

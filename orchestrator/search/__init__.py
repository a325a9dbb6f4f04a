"""From an experiment to records: one study a family, then the final evaluation."""

"""A run's records to the numbers that sections and figures show."""

"""Which picture trains, which chooses, which tests: divisions as data, with a fingerprint."""

"""What an experiment will cost, before any of it runs: probes and earlier records, extrapolated to ranges."""

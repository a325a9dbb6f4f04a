"""What may be searched: one module a family, each one function of an Optuna trial."""

"""The one error that means: what the user gave can't be used."""


class InputError(ValueError):
    """Bad input. The message names the rule, the value, what is allowed and what to do next."""

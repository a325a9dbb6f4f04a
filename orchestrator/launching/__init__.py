"""A run on someone else's machines: what is written for them, how it is started, followed and stopped."""

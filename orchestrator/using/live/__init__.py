"""A kept model at work: on files as they come into a folder, and on the values of a series as they come."""

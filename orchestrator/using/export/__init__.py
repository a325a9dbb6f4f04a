"""A kept model as one file that takes pictures of any size: made, checked against the kept test scores, written."""

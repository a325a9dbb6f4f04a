"""A tree of files to a store, by Ray Data: what is missing is drawn, nothing is drawn twice."""

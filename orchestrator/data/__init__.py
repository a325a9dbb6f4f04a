"""Files to arrays: where the data lies, how it becomes pictures, where these are kept, and how they are divided."""

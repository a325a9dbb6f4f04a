"""Where the files of a data set lie, and which class and part each belongs to."""

"""One file's bytes to numbers: series, pictures, depth, masks, and the hashes of all."""

"""A run on disk: the files, their rows, and the iterates read from them."""

"""Comparisons: how well an answer agrees with another one of its kind, in [0, 1]; one file a kind."""

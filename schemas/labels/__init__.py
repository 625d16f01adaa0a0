"""Label kinds, one a file: what an annotator can answer to a question."""

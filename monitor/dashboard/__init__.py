"""The dashboard: a page of its own that asks the HTTP API, and nothing else."""

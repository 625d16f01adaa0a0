"""Reconciliation: a tool's own records are read through its API, so that what its webhooks did not tell is told."""

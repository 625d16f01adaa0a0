"""Drift detectors that keep a promised false-alarm rate, and what decides over many annotators at once."""

"""Benchmarks: each compares against something in the same run, has seeds, and keeps its ids."""

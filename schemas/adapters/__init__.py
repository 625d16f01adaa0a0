"""Adapters, one a tool or file format: payloads in, events of the contract out; pure functions."""

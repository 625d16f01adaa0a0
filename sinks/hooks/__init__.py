"""Delivery of alerts: a durable outbox, one thread a hook, and one module for each kind of receiver."""

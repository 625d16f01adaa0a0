"""A seeded simulator of annotation projects: a stream of events with known truth, and with known faults."""

"""Statistics, one a file: updated event by event, each equal to its batch definition."""

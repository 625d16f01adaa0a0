"""The audit: replaceable figures recomputed from the raw log by other code than the flow's, and compared row by row."""

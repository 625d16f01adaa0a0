"""The spool: a write-ahead log of events on the local disk, in files that the flow can read by itself."""

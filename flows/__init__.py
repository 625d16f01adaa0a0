"""The composition root: settings, sources, the dataflow and the command line."""

"""The project state machine: plain Python, without Bytewax. Events in, state and rows out, in log order."""

"""What happens to events: a project's state, in plain Python, and the verbs that run it in a dataflow."""

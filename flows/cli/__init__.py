"""The command line, a command or two a module."""

"""Keeps the engine's own words off the terminal: a panic's stack trace tells nothing that our error does not."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def engine_output_held() -> Iterator[None]:
    """Send what native code writes to standard error nowhere; Python's own ``sys.stderr`` goes on to the terminal."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    ours = sys.stderr
    os.dup2(nowhere, 2)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = ours
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)

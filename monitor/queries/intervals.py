"""Intervals of shares that the database computes itself, where figures of several windows are put together.

References
----------
Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. Journal of the American
Statistical Association 22, 209–212.
"""

Z_95 = 1.959963984540054


def share(successes: str, trials: str) -> str:
    """Return SQL for a share, null without trials."""
    return f"if({trials} = 0, NULL, {successes} / {trials})"


def wilson_low(successes: str, trials: str) -> str:
    """Return SQL for the lower bound of the 95 % Wilson interval of a share, null without trials."""
    return f"if({trials} = 0, NULL, greatest(0., {_centre(successes, trials)} - {_half(successes, trials)}))"


def wilson_high(successes: str, trials: str) -> str:
    """Return SQL for the upper bound of the 95 % Wilson interval of a share, null without trials."""
    return f"if({trials} = 0, NULL, least(1., {_centre(successes, trials)} + {_half(successes, trials)}))"


def _centre(successes: str, trials: str) -> str:
    return f"({successes} + {Z_95**2 / 2}) / ({trials} + {Z_95**2})"


def _half(successes: str, trials: str) -> str:
    spread = f"greatest(0., {successes} * ({trials} - {successes}) / greatest({trials}, 1))"
    return f"{Z_95} / ({trials} + {Z_95**2}) * sqrt({spread} + {Z_95**2 / 4})"

"""Places that follow from ids alone: which part of the items an item belongs to, which labels are drawn into a sample.

A place is the id read as one number, modulo a prime, then mixed; it is the same in every process and on every machine.
"""

from functools import lru_cache

PLACE_BITS = 62

_MASK = (1 << 64) - 1
_PRIME = (1 << 61) - 1
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def place_of(*ids: str) -> int:
    """Return a number in [0, 2⁶²) that looks as if drawn at random, and is always the same for the same ids.

    Examples
    --------
    >>> place_of("item-1", "ann") == place_of("item-1", "ann") != place_of("item-1", "bob")
    True

    References
    ----------
    Steele, Lea and Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA, for the mixing.
    """
    number = int.from_bytes("\0".join(ids).encode(), "big") % _PRIME
    for multiplier, shift in zip(_MULTIPLIERS, (30, 27), strict=True):
        number = ((number ^ (number >> shift)) * multiplier) & _MASK
    return (number ^ (number >> 31)) >> (64 - PLACE_BITS)


@lru_cache(maxsize=1 << 16)
def cached_place_of(name: str) -> int:
    """Return the same as `place_of`, remembered, since the ids of a project recur."""
    return place_of(name)

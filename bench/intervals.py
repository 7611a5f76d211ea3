"""Statistics: medians, and how sure they are."""

import numpy

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 20  # fixed: the same samples give the same interval


def interval(values):
    """{median, low, high}: the 95 % bootstrap interval of the median; None without values. With less
    than three there is no interval."""
    if not values:
        return None
    values = numpy.asarray(values, dtype=float)
    result = {"median": float(numpy.median(values)), "low": None, "high": None}
    if len(values) >= 3:
        draws = numpy.random.default_rng(SEED).choice(values, (RESAMPLES, len(values)))
        low, high = numpy.quantile(numpy.median(draws, axis=1),
                                   [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        result.update(low=float(low), high=float(high))
    return result


def overlap(a, b):
    """Two intervals have a value in common; None if one of them is none."""
    if not a or not b or a["low"] is None or b["low"] is None:
        return None
    return a["low"] <= b["high"] and b["low"] <= a["high"]


def median(values):
    """None without values."""
    values = [value for value in values if value is not None]
    return float(numpy.median(values)) if values else None

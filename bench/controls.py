"""Native against itself: whether the times of a run may be used."""

WIDE = 0.2  # of the median: an interval that is wider says nothing about a difference of so much
NAMED = 4   # of a banner


def bad(ratio):
    """Whether this interval of native against native excludes 1, or is too wide. Without an interval it is
    not known."""
    if not ratio or ratio["low"] is None or ratio["high"] is None:
        return False
    return (not ratio["low"] <= 1 <= ratio["high"]
            or ratio["high"] - ratio["low"] > WIDE * ratio["median"])


def spoilt(cells):
    """The control cells of a result that are bad."""
    return [cell for cell in cells if cell["part"] == "control" and cell["derived"]
            and bad(cell["derived"]["ratio"])]


def banner(cells):
    """What must stand above a run's times, in a sentence; none if its controls are good."""
    seen = spoilt(cells)
    if not seen:
        return ""
    parts = [f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f}) at {cell['guest']}/{cell['workload']}"
             for cell in seen[:NAMED] for ratio in [cell["derived"]["ratio"]]]
    more = f", and {len(seen) - NAMED} more" if len(seen) > NAMED else ""
    return f"Times of this run are not to be used: native against itself {', '.join(parts)}{more}."

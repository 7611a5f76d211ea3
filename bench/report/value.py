"""One number of the report: what was measured, how sure it is, or why there is none."""

import math
from dataclasses import dataclass

NOT_MEASURED = "not measured"
FAILED = "failed"
SAME = "not to be told apart from noise"


def number(value, digits=3):
    """So many digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "'")
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value):
    """As much of a number that differs from run to run as means something."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Value:
    """value is None if there is none; `why` then says it in a few words, `detail` in full.
    low and high are the interval's ends, if it has one. unstable: a count that did not repeat; least
    and most are then what it was in single rounds. same: a ratio that lies within what the control row
    shows."""

    value: float = None
    low: float = None
    high: float = None
    unstable: bool = False
    same: bool = False
    why: str = NOT_MEASURED
    detail: str = ""
    least: float = None
    most: float = None

    @property
    def there(self):
        return self.value is not None

    @property
    def interval(self):
        return self.low is not None and self.high is not None

    def parts(self, digits=3):
        """The text in pieces, between which a line may end."""
        if not self.there:
            return [self.why]
        made = ["~" + number(rounded(self.value), digits) if self.unstable else number(self.value, digits)]
        if self.interval:
            made.append(f"({number(self.low, digits)}-{number(self.high, digits)})")
        if self.same:
            made[-1] += ","
            made.append(SAME)
        return made

    def text(self, digits=3):
        """For a table: `~12.5`, `0.41 (0.39-0.43)`, `1.01 (0.98-1.03), not to be told apart from noise`,
        `failed`."""
        return " ".join(self.parts(digits))

    def scaled(self, factor):
        """The same in another unit."""
        if not self.there:
            return self
        ends = [None if end is None else end * factor
                for end in (self.low, self.high, self.least, self.most)]
        return Value(self.value * factor, *ends[:2], self.unstable, self.same, self.why, self.detail, *ends[2:])

    @property
    def ends(self):
        """(lowest, highest) that it may be: of its interval, else of its rounds, else itself twice."""
        if self.interval:
            return self.low, self.high
        return (self.value, self.value) if self.least is None else (self.least, self.most)


def missing(why=NOT_MEASURED, detail=""):
    return Value(why=why, detail=detail)


def apart(a, b):
    """Whether a sentence may say which of the two is larger: what each may be does not overlap."""
    return a.there and b.there and (a.ends[0] > b.ends[1] or b.ends[0] > a.ends[1])


def over(a, b):
    """a : b, with an interval if one of them has more than one value; same if they are not apart."""
    if not a.there or not b.there or b.value == 0:
        return missing("no ratio") if a.there and b.there else (b if a.there else a)
    ratio, ends = a.value / b.value, (None, None)
    if min(b.ends) > 0 and {a.ends[0], b.ends[0]} != {a.ends[1], b.ends[1]}:
        ends = (a.ends[0] / b.ends[1], a.ends[1] / b.ends[0])
    return Value(ratio, unstable=a.unstable or b.unstable, same=not apart(a, b) and len({*a.ends, *b.ends}) > 1,
                 least=ends[0], most=ends[1])


def compared(a, b):
    """How a sentence sets a against b: ("1.28 times as many", "as"), ("0.12 % more", "than"), ("as many",
    "as"); None if the two are not to be told apart."""
    ratio = over(a, b)
    if not ratio.there or ratio.same:
        return None
    if ratio.value == 1:
        return "as many", "as"
    if number(ratio.value) != "1":
        return f"{number(ratio.value)} times as many", "as"
    return f"{number(abs(100 * (ratio.value - 1)), 2)} % {'more' if ratio.value > 1 else 'fewer'}", "than"


def exact(value):
    """A count that repeated."""
    return Value(float(value))

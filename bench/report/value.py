"""One number of the report: what was measured, how sure it is, or why there is none."""

import math
from dataclasses import dataclass

NOT_MEASURED = "not measured"
FAILED = "failed"
SAME = "no difference"


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
    low and high are the interval's ends, if it has one. unstable: a count that did not repeat.
    same: a ratio that lies within what the control row shows."""

    value: float = None
    low: float = None
    high: float = None
    unstable: bool = False
    same: bool = False
    why: str = NOT_MEASURED
    detail: str = ""

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
        """For a table: `~12.5`, `0.41 (0.39-0.43)`, `1.01 (0.98-1.03), no difference`, `failed`."""
        return " ".join(self.parts(digits))

    def scaled(self, factor):
        """The same in another unit."""
        if not self.there:
            return self
        ends = (self.low * factor, self.high * factor) if self.interval else (None, None)
        return Value(self.value * factor, *ends, self.unstable, self.same, self.why, self.detail)


def missing(why=NOT_MEASURED, detail=""):
    return Value(why=why, detail=detail)


def exact(value):
    """A count that repeated."""
    return Value(float(value))

"""What an exit of a class costs: the statistics' histograms, whose entry b counts costs of 2^b up to 2^(b+1)."""

LAST = 23  # entry that is open: STATS_BUCKETS - 1
SPREAD = ("min", "median", "p99", "max")


def merge(histograms):
    """{entry: exits} of lists as the statistics have them, together."""
    total = {}
    for histogram in histograms:
        for entry, count in enumerate(histogram):
            if count:
                total[entry] = total.get(entry, 0) + count
    return total


def of_classes(statistics):
    """{class: {entry: exits}}, the most frequent class first; exits that have not ended are not in it."""
    rows = {}
    for row in statistics["exits"]:
        rows.setdefault(row["class"], []).append(row["histogram"])
    merged = {name: merge(histograms) for name, histograms in rows.items()}
    return dict(sorted(((name, entries) for name, entries in merged.items() if entries),
                       key=lambda item: -sum(item[1].values())))


def spread(entries):
    """The entries that hold the least, the median, the 99th percentile and the most of some exits."""
    order = sorted(entry for entry, count in entries.items() if count > 0)
    total = sum(entries[entry] for entry in order)

    def holds(rank):
        """The entry of the exit with so many at or below it."""
        seen = 0
        for entry in order:
            seen += entries[entry]
            if seen >= rank:
                return entry
        return order[-1]

    return order[0], holds((total + 1) // 2), holds(-(-99 * total // 100)), order[-1]


def bound(value):
    """A power of two in few characters: 64k is 65,536."""
    for unit, factor in (("M", 1 << 20), ("k", 1 << 10)):
        if value >= factor:
            return f"{value // factor}{unit}"
    return str(value)


def words(entry):
    """`64 to 128`, which is below 128."""
    if entry >= LAST:
        return f"{bound(1 << LAST)} or more"
    return f"{bound(1 << entry if entry else 0)} to {bound(2 << entry)}"

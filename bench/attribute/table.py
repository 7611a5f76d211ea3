"""What make attribute prints: one operation's instructions, by whose they are."""

from scripts.runner import report
from .parts import TITLES

SMALLEST = 0.01  # of the total: functions with less are told together


def amount(value):
    """Of one operation, with as many digits as say something."""
    text = report.number(round(value)) if abs(value) >= 1000 else f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def line(name, instructions, total, more=""):
    share = f"{100 * instructions / total:.1f} %" if total else ""
    return f"{name:<30}{amount(instructions):>14}{share:>10}{more}".rstrip()


def function_lines(row):
    """The VMM's functions, those with less than SMALLEST of the operation in one line."""
    n, total = row["n"], row["total"] / row["n"]
    big = [each for each in row["functions"] if each["instructions"] >= SMALLEST * row["total"]]
    lines = [line(f"  {each['name']}", each["instructions"] / n, total,
                  f"{each['calls'] / n:>10.2f}  {each['file']}") for each in big]
    others = len(row["functions"]) - len(big)
    rest = row["parts"]["vmm"] - sum(each["instructions"] for each in big)
    return lines + [line(f"  {others} others, less than 1 % each", rest / n, total)] * bool(others)


def operation(row):
    n, total = row["n"], row["total"] / row["n"]
    where = f"DEVICE={row['device']}" + (f" PATCH={row['patch']}" if row["patch"] else "")
    lines = [f"{row['op']}, {where}: one operation, the mean of {report.number(n)}",
             f"{'':<30}{'instructions':>14}{'share':>10}{'calls':>10}"]
    for part, count in row["parts"].items():
        lines += [line(TITLES[part], count / n, total)] if count else []
        lines += function_lines(row) if part == "vmm" else []
    flushes = "-" if row["tlb_flushes"] is None else f"{row['tlb_flushes']:.2f}"
    lines += [line("total", total, total), f"{'nano counted':<30}{amount(row['nano']):>14}",
              f"{'TLB flushes':<30}{flushes:>14}"]
    return "\n".join(lines)


def table(rows):
    return "\n\n".join(operation(row) for row in rows)

"""What each strategy costs, in one table: operations down, strategies across. For the README.

The cells, and what is said of them, are the report's (bench/report/); what is left out here are the intervals.
"""

import os

from . import results
from .cells import Refusal
from .report.value import Value

REPORT = "build/report"
FIGURE = "docs/figures/strategies.svg"  # a figure of the report, beside the README
BEGIN, END = "<!-- begin: bench/run --readme -->\n", "<!-- end -->"
DIGITS = {"throughput, native = 1": 2, "wall time, native = 1": 3}


def figure(value, digits):
    """Without its interval; `-` where there is none."""
    if not value.there:
        return "failed" if value.why == "failed" else "-"
    return Value(value.value, unstable=value.unstable, same=value.same).text(digits)


def rows(whole):
    """The report's headline rows, as far as they were measured at all."""
    from .report import overview
    from .report.results import Results
    last = None
    for title, measure, level, *values in overview.headline_rows(Results(whole)):
        if not any(value.there for value in values[1:]):
            continue
        shown = [figure(value, DIGITS.get(measure, 3)) for value in values]
        yield [f"**{title}**: {measure}" if title != last else measure, f"`{level}`", *shown]
        last = title


def table(whole):
    from .report.words import MACHINES
    from .report.results import STRATEGIES
    lines = ["| per | PATCH | " + " | ".join(MACHINES[name] for name in STRATEGIES) + " |",
             "| --- | --- |" + " ---: |" * len(STRATEGIES)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows(whole)]) + "\n"


def said(whole):
    """Paragraphs above the table: the banner, if the times are not to be used, and where the default level is
    dearer than a lower one."""
    from .report import levels
    from .report.results import Results
    of = Results(whole)
    return "".join(f"{text}\n\n" for text in [*([f"**{of.banner}**"] if of.banner else []), *levels.dearer(of)])


def sentence(machine):
    """What the numbers were made with."""
    return (f"Commit {machine['commit']}{' and changes' if machine['dirty'] else ''}, "
            f"QEMU {machine['qemu']}, OpenSBI {machine['opensbi']}, "
            f"{machine['cores']} x {machine['cpu']}, load {machine['load']} at the start.")


def figure_of(whole, report):
    """The report's picture of the strategies, with a ground of its own: a page may be dark. The report must
    be that of these results."""
    try:
        if results.load(f"{report}/results.json")["machine"] != whole["machine"]:
            raise Refusal(f"{report} is of another run: `make report` first.")
        with open(f"{report}/figures/{os.path.basename(FIGURE)}", encoding="utf-8") as file:
            return file.read().replace('style="fill: none"', 'style="fill: #ffffff"', 1)
    except OSError as error:
        raise Refusal(f"no picture for the README ({error.strerror}): `make report` first.") from None


def replace(path, text):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def write_readme(whole, path, report=REPORT):
    """Puts picture and table between the README's two marks."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        raise Refusal(f"{path} lacks the marks {BEGIN.strip()} and {END}.")
    figure = figure_of(whole, report)
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    picture = f"![What traps and what does not for one read, by strategy]({FIGURE})"
    replace(path, f"{before}{BEGIN}{picture}\n\n{said(whole)}{table(whole)}\n"
                  f"{sentence(whole['machine'])}\n{END}{after}")
    replace(os.path.join(os.path.dirname(path), FIGURE), figure)

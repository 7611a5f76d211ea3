"""What each strategy costs, in one table: operations down, strategies across. For the README."""

import math
import os

import intervals
import results
from cells import Refusal

REPORT = "build/report"
FIGURE = "docs/figures/strategies.svg"  # a figure of the report, beside the README
BEGIN, END = "<!-- begin: bench/run --readme -->\n", "<!-- end -->"
COLUMNS = (("native", "Native"), ("ahci", "Emulated AHCI"), ("ata", "Emulated ATA"),
           ("virtio", "Virtio"), ("passthrough", "Passthrough"))
WORKLOADS = (("trident/disk-read-4096-d1", "4 KiB read, depth 1"),
             ("trident/disk-read-4096-d8", "4 KiB read, depth 8"),
             ("trident/console-out", "Byte of console output"))


def number(value, digits=3):
    """So many digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "'")
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def accesses(cell, device):
    """Loads and stores of the device's registers that the VMM carried out, per operation."""
    seams = [(sample["devices"].get(device, {}), sample["operations"]) for sample in results.used(cell)]
    return intervals.median([(seam.get("loads", 0) + seam.get("stores", 0)) / n for seam, n in seams])


def figure(cell, value):
    """value(derived) as text: `failed`, `-` where there is none, `~` where it does not repeat."""
    if cell is None:
        return "-"
    if cell["status"] == "failed":
        return "failed"
    result = value(cell["derived"])
    return "-" if result is None else ("~" if cell["status"] == "unstable" else "") + number(result)


def throughput(cell):
    """Relative to native; with a mark if it cannot be told from native."""
    if cell is None or not cell["derived"] or not cell["derived"]["ratio"]:
        return "failed" if cell and cell["status"] == "failed" else "-"
    text = number(1 / cell["derived"]["ratio"]["median"], 2)
    return f"{text} (no difference)" if cell["derived"]["difference"] == "none" else text


class Cells:
    """The matrix's cells by method, workload and strategy."""

    def __init__(self, whole):
        self.cells = {(cell["method"], f"{cell['guest']}/{cell['workload']}", cell["strategy"]): cell
                      for cell in whole["cells"] if cell["part"] == "matrix"}

    def row(self, title, method, workload, show, native=None):
        shown = [show(self.cells.get((method, workload, name))) for name, _ in COLUMNS]
        return [title, *([native] if native else shown[:1]), *shown[1:]]

    def has(self, method, workload):
        return any(key[:2] == (method, workload) for key in self.cells)


def counts(found, workload, title):
    device = "uart" if "console" in workload else "disk"
    yield found.row(f"**{title}**: register accesses", "count", workload, lambda cell: figure(
        cell, lambda _: accesses(cell, device)))
    yield found.row("register traps", "count", workload, lambda cell: figure(
        cell, lambda d: sum(d["registers"].get(device, {}).values())))
    yield found.row("all traps", "count", workload, lambda cell: figure(cell, lambda d: d["traps"]["total"]))
    yield found.row("instructions", "count", workload, lambda cell: figure(
        cell, lambda d: d["instructions"]))


def rows(whole):
    found = Cells(whole)
    for workload, title in WORKLOADS:
        title_of_time = f"**{title}**: throughput"
        if found.has("count", workload):
            yield from counts(found, workload, title)
            title_of_time = "throughput"
        if found.has("time", workload):
            yield found.row(title_of_time, "time", workload, throughput, "1")
    boot, title = "linux/boot", "**Linux boot**: "
    if found.has("count", boot):
        yield found.row(f"{title}instructions", "count", boot, lambda cell: figure(
            cell, lambda d: d["ratio"] and d["ratio"]["median"]), "1")
        title = ""
    if found.has("boot-time", boot):
        yield found.row(f"{title}wall time", "boot-time", boot, lambda cell: figure(
            cell, lambda d: d["ratio"] and round(d["ratio"]["median"], 2)), "1")


def table(whole):
    lines = ["| per | " + " | ".join(title for _, title in COLUMNS) + " |",
             "| --- |" + " ---: |" * len(COLUMNS)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows(whole)]) + "\n"


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
    replace(path, f"{before}{BEGIN}{picture}\n\n{table(whole)}\n{sentence(whole['machine'])}\n{END}{after}")
    replace(os.path.join(os.path.dirname(path), FIGURE), figure)

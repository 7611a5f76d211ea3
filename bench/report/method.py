"""How it was measured, on what, with which configuration, and how each cell is repeated."""

from .. import controls
from . import words
from .exhibit import Exhibit, Section
from .results import STRATEGIES, ratio, used
from .table import Table
from .value import SAME, number

FACTS = {"cpu": "processor", "dirty": "uncommitted changes", "qemu": "QEMU", "opensbi": "OpenSBI",
         "kernel": "Linux of the guest", "load": "load at the start", "seconds": "seconds of measuring"}
ALIKE = ("RUN", "ICOUNT")  # differ from workload to workload, not from strategy to strategy


def facts(whole):
    """What the numbers were made with, in one line."""
    machine = whole["machine"]
    kind = " QUICK=1." if whole["quick"] else " FULL=1." if whole["full"] else ""
    only = f" Only the cells that match {whole['only']}." if whole["only"] else ""
    changed = " with uncommitted changes" if machine["dirty"] else ""
    return (f"Commit {machine['commit']}{changed}, {machine['date'][:10]}. QEMU {machine['qemu']}, "
            f"OpenSBI {machine['opensbi']}, Linux {machine['kernel']} as a guest; "
            f"{machine['cores']} x {machine['cpu']}, load {machine['load']} at the start, "
            f"{machine['seconds'] / 60:.0f} min.{kind}{only}")


def machine_table(whole):
    machine = whole["machine"]
    rows = [[FACTS.get(name, name), "yes" if value is True else "no" if value is False else str(value)]
            for name, value in machine.items() if name != "hosts"]
    for host in machine.get("hosts", []):
        rows.append([f"host {host.get('name', '?')}", ", ".join(
            f"{name} {value}" for name, value in host.items() if not isinstance(value, (list, dict)))])
    rows += [[f"method: {name.replace('_', ' ')}", str(value)] for name, value in whole["method"].items()]
    return Table("machine", "Machine, versions and method", ["what", "value"], rows, words=2)


def configuration_table(results):
    """The options of each strategy's cell of one workload: what differs is what was compared."""
    cells = []
    for guest, workload, _ in results.workloads():
        cells = [cell for strategy in STRATEGIES
                 if (cell := results.matrix("count", guest, workload, strategy))]
        if len(cells) > 1:
            break
    names = sorted({name for cell in cells for name in cell["options"]} - set(ALIKE))
    rows = [[words.strategy(cell["strategy"]), cell["uart"], cell["disk"],
             *(cell["options"].get(name, "-") for name in names)] for cell in cells]
    return Table("configuration", "Configuration of each strategy", ["strategy", "UART", "disk", *names],
                 rows, words=3 + len(names))


def commands_table(results):
    rows = []
    for cell in results.cells:
        state = cell["status"] + (f": {cell['why']}" if cell["why"] else "")
        rows.append([cell["id"], state, str(len(used(cell))), cell["command"]])
    return Table("commands", "Every cell, and the command that repeats it",
                 ["cell", "status", "samples", "command"], rows, words=4)


def failed_table(results):
    rows = [[cell["id"], cell["why"] or "no reason given", cell["log"] or "-"]
            for cell in results.find(status="failed")]
    return Table("failed", "Failed cells", ["cell", "why", "console"], rows, words=3)


def control_table(results):
    rows = [[words.workload(cell["workload"], cell["params"]), ratio(cell)]
            for cell in results.find(part="control")]
    return Table("control", "The control row: native against native", ["workload", "time, native = 1"], rows,
                 digits=2)


def section(results):
    method = results.whole["method"]
    dropped = "the first" if method["dropped"] == 1 else f"the first {method['dropped']}"
    classes = "; ".join(f"{group}: {text}" for group, text in words.GROUP_MEANING.items())
    text = [
        f"Counts and retired instructions: under -icount shift=0, {method['count_rounds']} rounds that "
        "must be identical. Where they were not, the number is marked ~ and is the median. That is to be "
        "expected of Linux, whose clock ticks while it sleeps, and of several requests in flight.",
        f"Times: ratio to native, within a round of interleaved runs; {method['time_rounds']} rounds, "
        f"{dropped} dropped. A run of our guest makes three passes over its workloads, and the middle one "
        "counts. Median with a "
        f"{number(100 * method['confidence'])} % bootstrap interval "
        f"({number(method['resamples'])} resamples). Boots are whole processes: "
        f"{method['boot_rounds']} rounds.",
        "Noise: the control row is native against native. A difference whose interval overlaps the "
        f"control's is {SAME}. A control whose own interval excludes 1, or is wider than "
        f"{number(100 * controls.WIDE)} % of it, spoils the times of the run, and a banner says so. "
        "Every strategy has the same back end, disk image, queue "
        "depth, cache mode, memory and guest; the tables below list what differs.",
        f"Classes of traps: {classes}.",
        "What may be concluded from all this, and what may not: docs/measuring.md."]
    made = [failed_table(results), configuration_table(results), control_table(results), machine_table(results.whole),
            commands_table(results)]
    return Section("method", "Method, machine and commands", text,
                   [Exhibit(table) for table in made if table.rows], "Method")

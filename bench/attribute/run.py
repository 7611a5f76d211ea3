"""Which instructions one operation of nano's is made of: by function of the VMM, and of the guest's
kernel, trampolines, user code and firmware. Called by make.

  OP='null_syscall ...' bench/attribute/run DEVICE     boots Linux once; writes build/attribute.json
  OP=... bench/attribute/run --check                   only looks whether there are such operations
The options of the front door (PATCH, MEM, DISK_MODEL ...) come by the environment.
Exit status: 0, 1 if the run failed, 2 for a refused option.
"""

import json
import os
import re
import shlex
import sys
import tempfile

from scripts.runner import machine, options as front_door, report
from ..workloads import marks, nano, progress
from ..workloads.run import parser
from . import counts, parts, table

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
RESULT = "build/attribute.json"
SECONDS = 15  # of a run, for the progress line
# QEMU's monitor: "TLB full flushes 0", "TLB partial flushes 131793", "TLB elided flushes 936015".
FLUSHES = re.compile(r"^TLB (full|partial|elided) flushes +(\d+)", re.MULTILINE)
MMU_MODES = 16  # of QEMU's TLB: one flush counts them one by one, partial or, if empty, elided


def operations(text):
    """The operations that OP names, all of which nano has."""
    with open("docs/nano.schema.json", encoding="utf-8") as file:
        known = json.load(file)["items"]["properties"]["op"]["enum"]
    names = text.split()
    if not names or not set(names) <= set(known):
        wrong = "names no operation" if not names else "is not known"
        raise front_door.Refusal(f"OP={text} {wrong}: use {', '.join(known[:-1])} or {known[-1]}.")
    return names


class Session(marks.Marked):
    """Notes at each mark how often QEMU has flushed its TLB."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.order = []  # of the stretches: (operation, "with" or "without")
        self.flushes = {}

    def heard(self, text):
        """First of all: while the guest waits for its answer, the VMM counts."""
        for kind, name, what in marks.MARK.findall(text + "\n"):
            self.order += [(name, what)] if kind == "begin" else []
            self.flushes[name, what, kind] = self.read_flushes()
        super().heard(text)

    def read_flushes(self):
        text = self.monitor.call("human-monitor-command", **{"command-line": "info jit"})
        found = {kind: int(number) for kind, number in FLUSHES.findall(str(text))}
        if len(found) < 3:
            return None
        return found["full"] + (found["partial"] + found["elided"]) / MMU_MODES

    def flushed(self, name, n):
        """Flushes of one operation; None if this QEMU does not tell."""
        at = [self.flushes[name, what, kind]
              for what in ("with", "without") for kind in ("begin", "end")]
        return None if None in at else round((at[1] - at[0] - at[3] + at[2]) / n, 3)


def boot(parse, names):
    """The run, what nano says of each operation, and what the plugin counted at each mark."""
    with tempfile.TemporaryDirectory(prefix="trident-attribute-") as folder:
        path = f"{folder}/counts"
        plugin = f"-plugin {counts.PLUGIN},out={shlex.quote(machine.escape(path))}"
        qemu = f"{os.environ.get('QEMU', '')} {plugin}"
        run, results = nano.boot(parse, True, names, kind=Session, QEMU=qemu)
        with open(path, encoding="utf-8") as file:
            return run, results, counts.by_mark(counts.read(file), run.order)


def vmm_functions(options):
    """Natively there are none."""
    if options.native:
        return parts.Functions("", 0)
    text = report.output_of("riscv64-unknown-elf-nm", "-n", "-l", machine.TRIDENT_ELF)
    if not text:
        raise marks.Failure(f"nm found no symbols in {machine.TRIDENT_ELF}")
    return parts.Functions(text, machine.vmm_address(options))


def row_of(run, result, stretches, functions):
    """As docs/attribute.schema.json has it. Counts are of all n operations, so that they add up."""
    name, n, options = result["op"], result["n"], run.options
    of, without = stretches[name, "with"], stretches[name, "without"]
    split = parts.split(counts.difference(of, without), options)
    counted = result["instructions"]  # by the guest, if it may read the machine's counter
    return {"op": name, "device": options.device,
            "patch": None if options.native else options.patch, "n": n,
            "total": of.total - without.total,
            "nano": nano.instructions(run, name, n) if counted is None else counted,
            "tlb_flushes": run.flushed(name, n),
            "parts": {part: sum(found.values()) for part, found in split.items()},
            "functions": functions.cost(split["vmm"])}


def attribute(device, names):
    marks.plan = progress.Plan([(marks.name_of(device, True), SECONDS)])
    run, results, stretches = boot(parser(device), names)
    functions = vmm_functions(run.options)
    rows = [row_of(run, result, stretches, functions) for result in results]
    report.write_json(RESULT, rows)
    print(table.table(rows))


def main(words):
    os.chdir(TOP)
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        names = operations(os.environ.get("OP") or "")
        if words[0] != "--check":
            counts.check_plugins(report.output_of)
            attribute(words[0], names)
    except front_door.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    except marks.Failure as failure:
        print(f"attribute: {marks.explain(failure)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

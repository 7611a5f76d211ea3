"""The nano workload: what single operations of a Linux guest cost, in time, instructions and traps.

What a stretch costs besides its operations, its marks above all, is measured by a stretch that
does nothing, and subtracted.
"""

import json
import os
import re
import tempfile

from . import marks

DISK_MIB = 64
TIMEOUT = 300
OPS = 14  # if all are asked for: for the time left
FIELDS = ("op", "device", "patch", "n", "ns", "instructions", "traps", "device_traps", "exits")


def result_of(program):
    """What finds a program's result among what it printed."""
    return re.compile(rf"^{program}-json-begin\n(.*?)^{program}-json-end$", re.MULTILINE | re.DOTALL)


RESULT = result_of("nano")


def instructions(run, op, n):
    """Of one operation, as the VMM counts them from mark to mark: the guest's, its own and the firmware's."""
    total = {what: sum(run.stretches[op, what][who]["instructions"] for who in ("vmm", "idle", "guest"))
             for what in ("with", "without")}
    return round((total["with"] - total["without"]) / n, 1)


def traps(run, op, n):
    """Of one operation: all traps, those at device registers, and all by class."""
    with_op, accesses = marks.exits(run.stretches[op, "with"])
    without, accesses_without = marks.exits(run.stretches[op, "without"])
    each = {name: round((with_op.get(name, 0) - without.get(name, 0)) / n, 2) + 0.0
            for name in sorted(with_op.keys() | without.keys())}
    total = (sum(with_op.values()) - sum(without.values())) / n
    return (round(total, 2) + 0.0, round((accesses - accesses_without) / n, 2) + 0.0,
            {name: count for name, count in each.items() if count})


def boot(parse, counted, ops, program="nano", kind=marks.Marked, **settings):
    """One run of the guest; the session, which is of this kind, and what the guest's program printed."""
    words = [program, "--marks"] + ["--counted"] * counted + ops
    with tempfile.TemporaryDirectory(prefix="trident-nano-") as folder:
        with open(f"{folder}/disk.img", "wb") as file:
            for number in range(DISK_MIB):
                file.write(bytes([number]) * (1 << 20))
        # In the first second the kernel does what it has put off while it booted.
        options = parse(RUN="sleep 1; " + " ".join(words), ICOUNT="01"[counted],
                        DISK_IMG=f"{folder}/disk.img",
                        INITRD=f"build/workloads/{os.environ.get('KERNEL') or 'trixie'}.cpio.gz",
                        **settings)
        options.timeout = options.timeout or TIMEOUT
        run = marks.run(options, kind)
    found = result_of(program).search(run.text)
    if not found:
        raise marks.Failure("the guest printed no result", run.text)
    return run, json.loads(found[1])


def boots(device, ops):
    """What measure makes, for progress.Plan: seconds on a usual computer."""
    return [(marks.name_of(device, False), 3 + 0.6 * (len(ops) or OPS)),
            (marks.name_of(device, True), 6 + 0.7 * (len(ops) or OPS))]


def measure(parse, ops):
    """Rows of the result for one device. Time is taken in a run at full speed; instructions and
    traps in one in which QEMU counts instructions, which makes them repeatable."""
    _, timed = boot(parse, False, ops)
    run, counted = boot(parse, True, ops)
    ns = {row["op"]: row["ns"] for row in timed}
    native = run.options.native
    rows = []
    for row in counted:
        total, at_devices, classes = (None, None, None) if native else traps(run, row["op"], row["n"])
        count = row["instructions"] if native else instructions(run, row["op"], row["n"])
        values = (row["op"], run.options.device, None if native else run.options.patch, row["n"],
                  ns[row["op"]], count, total, at_devices, classes)
        rows.append(dict(zip(FIELDS, values)))
    return rows


def table(rows):
    """Operations down, devices across: ns, instructions, traps."""
    devices = list(dict.fromkeys(row["device"] for row in rows))
    cell = {(row["op"], row["device"]): row for row in rows}
    lines = [f"{'':13}" + "".join(f"{device:>30}" for device in devices),
             f"{'operation':13}" + f"{'ns':>11}{'instr':>11}{'traps':>8}" * len(devices)]
    for op in dict.fromkeys(row["op"] for row in rows):
        line = f"{op:13}"
        for device in devices:
            row = cell[op, device]
            for key, width, digits in (("ns", 11, 0), ("instructions", 11, 0), ("traps", 8, 1)):
                line += f"{'-' if row[key] is None else format(row[key], f'.{digits}f'):>{width}}"
        lines.append(line)
    lines.append("ns: in a run at full speed; instructions and traps: in one with ICOUNT=1")
    return "\n".join(lines)

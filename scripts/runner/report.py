"""What is told at the end of a run: the table, the JSON, and where a guest was."""

import bisect
import glob
import json
import os
import subprocess
import tempfile

from . import histogram


INTERRUPT = 0x80  # of a cause, as records of a trace have it
CAUSES = {0: "fetch misaligned", 1: "fetch access fault", 2: "illegal instruction", 3: "breakpoint",
          4: "load misaligned", 5: "load access fault", 6: "store misaligned", 7: "store access fault",
          8: "system call", 12: "fetch page fault", 13: "load page fault", 15: "store page fault",
          INTERRUPT | 1: "software interrupt", INTERRUPT | 5: "timer interrupt",
          INTERRUPT | 9: "external interrupt"}
ILLEGAL_INSTRUCTION = 2
MRET = 0x30200073


# What a table says of a device, and how many columns that takes: 80 with its name's 22.
DEVICE_COLUMNS = {"loads": 10, "stores": 10, "irqs": 8, "notify": 8, "requests": 9, "bytes": 13}
COUNTS = {"notify": "notifications"}  # whose heading is shorter


def number(value):
    return f"{value:,}".replace(",", "'") if isinstance(value, int) else str(value)


def table(statistics, counted=True):
    """The summary in 80 columns: exits by class, devices, memory. A class with exits that were not timed has the mean
    of the others, and no share.
    counted: QEMU counted instructions (ICOUNT=1); otherwise its instruction counter is a clock."""
    each = "instructions each" if counted else "ns each"
    lines = [f"{'exit class':<14}{'count':>14}{each:>20}{'share of time':>16}"]
    classes = {}
    for row in statistics.get("exits", []):
        total = classes.setdefault(row["class"], [0, 0, 0, 0])
        for i, key in enumerate(("count", "timed", "instructions", "nanoseconds")):
            total[i] += row.get(key) or 0  # null: instructions that nobody counted
    spent = max(sum(total[3] for total in classes.values()), 1)
    for name, (count, timed, instructions, nanoseconds) in sorted(classes.items(), key=lambda c: -c[1][0]):
        cost = number((instructions if counted else nanoseconds) // timed) if timed else "-"
        share = f"{100 * nanoseconds / spent:.1f} %" if timed == count else "-"
        lines.append(f"{name:<14}{number(count):>14}{cost:>20}{share:>16}")
    longest = statistics.get("longest")
    if longest:
        cost = longest["instructions"] if counted else longest["nanoseconds"]
        lines.append(f"longest exit: {number(cost)} {'instructions' if counted else 'ns'}, {longest['class']} "
                     f"{longest['detail']}".rstrip() + f" in {longest['mode']} at {longest['pc']}")
    lines.append(f"{'device':<22}" + "".join(f"{name:>{wide}}" for name, wide in DEVICE_COLUMNS.items()))
    for name, row in statistics.get("devices", {}).items():
        counts = [f" {row.get(COUNTS.get(key, key), 0):>{wide - 1}}" for key, wide in DEVICE_COLUMNS.items()]
        lines.append(f"{name + ': ' + row.get('strategy', ''):<22.22}" + "".join(counts))
    memory = [f"{key.replace('_', ' ')} {number(value)}"
              for key, value in statistics.get("memory", {}).items()]
    line = "memory:"
    for i, item in enumerate(memory):
        item += "," if i + 1 < len(memory) else ""
        if len(line) + 1 + len(item) > 80:
            lines.append(line)
            line = "       "
        line += " " + item
    lines.append(line)
    return "\n".join(lines)


def spread_table(statistics):
    """What an exit of each class costs, in 80 columns; the histograms know each figure to a factor of two."""
    unit = "ns" if statistics["vmm"]["instructions"] is None else "instructions"
    lines = [f"{unit + ' each':<20}" + "".join(f"{name:>15}" for name in histogram.SPREAD)]
    for name, entries in histogram.of_classes(statistics).items():
        cells = [histogram.words(entry) for entry in histogram.spread(entries)]
        lines.append(f"{name:<20}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def is_machine_mode(instruction):
    """mret, or an access to a CSR of machine mode (privileged specification, "CSR Address Mapping")."""
    return instruction == MRET or (instruction & 0x7f == 0x73 and instruction >> 12 & 3 != 0
                                   and instruction >> 28 & 3 == 3)


def fault_lines(faults):
    """Sentences about a guest's last faults, the last one first (core/vm/vcpu.h)."""
    lines = []
    for i, fault in enumerate(faults):
        cause, times = fault["cause"], fault.get("count")
        often = "" if times is None else ", once" if times == 1 else f", {number(times)} times in a row"
        lines.append(f"{'the fault before it' if i else 'its last fault'}: {CAUSES.get(cause, 'unknown')} (cause {cause}), "
                     f"sepc {fault['sepc']}, stval {fault['stval']}, stvec {fault['stvec']}{often}")
    for fault in faults:
        if fault["cause"] == ILLEGAL_INSTRUCTION and is_machine_mode(int(fault["stval"], 0)):
            lines.append(f"the instruction {fault['stval']} at {fault['sepc']} is one of machine mode, and a guest in "
                         "machine mode is not supported")
            break
    return lines


def output_of(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def host_facts(qemu_version):
    commit = output_of("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return {
        "qemu": qemu_version,
        "opensbi": output_of("dpkg-query", "-W", "-f", "${Version}", "opensbi"),
        "commit": commit,
    }


def write_json(path, value):
    """All or nothing: the file is complete, or as it was."""
    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".stats-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


class Symbols:
    """Function names by address, from the sorted output of nm or a System.map."""

    def __init__(self, text):
        self.rows = []
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tTwW" and not words[2].startswith((".L", "$")):
                self.rows.append((int(words[0], 16), words[2]))
        self.rows.sort()

    def address(self, name):
        return next((address for address, other in self.rows if other == name), 0)

    def moved(self, offset):
        """The same symbols of a program that was loaded elsewhere."""
        other = Symbols("")
        other.rows = [(address + offset, name) for address, name in self.rows]
        return other

    def name(self, address):
        """function+offset; empty if the address is in none (or far beyond the last)."""
        at = bisect.bisect_right(self.rows, (address, chr(0x10FFFF))) - 1
        if at < 0 or address - self.rows[at][0] > 0x10000:
            return ""
        return f"{self.rows[at][1]}+{address - self.rows[at][0]:#x}"


def guest_symbols(kernel):
    """A guest's symbols: its ELF's own, or a System.map beside an Image or in what it came from."""
    folder = os.path.dirname(kernel)
    for pattern in ("System.map*", "root/boot/System.map*"):
        for beside in glob.glob(os.path.join(folder, pattern)):
            with open(beside, encoding="utf-8") as file:
                symbols = Symbols(file.read())
            if symbols.rows:  # Debian's own is a stub
                return symbols
    return Symbols(output_of("riscv64-unknown-elf-nm", "-n", kernel) or "")

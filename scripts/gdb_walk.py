"""gdb's side of `make walk`: stops a run at the VMM's functions and writes down what it finds there.

Environment: TRIDENT_GDB (QEMU's socket), TRIDENT_BASE (where the VMM is), TRIDENT_STEPS and
TRIDENT_STARTS (name=address,...: of the VMM's functions, of the guest's), TRIDENT_EVENTS, TRIDENT_PATCH,
TRIDENT_REPORT (a file: one JSON object for each event, then a last line with "done"),
PYTHONPATH (the project's top).
"""

import json
import os

import gdb

from scripts.runner import walk_steps

REAL = ("scause", "sepc", "stval", "sstatus", "satp")
VIRTUAL = ("sstatus", "sie", "sip", "stvec", "sscratch", "sepc", "scause", "stval", "satp")
REGISTERS = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 "
             "s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6").split()
INTERRUPT = 1 << 63
MASK = (1 << 64) - 1
PATCH = os.environ["TRIDENT_PATCH"]

report = open(os.environ["TRIDENT_REPORT"], "w", encoding="utf-8")  # gdb talks on its own output


def tell(value):
    print(json.dumps(value), file=report, flush=True)


def addresses(name):
    pairs = (word.split("=") for word in os.environ[name].split(",") if word)
    return {key: int(value, 0) for key, value in pairs}


def number(text):
    return int(gdb.parse_and_eval(text)) & MASK


def go():
    gdb.execute("continue", to_string=True)
    return number("$pc")


def instruction(pc):
    """The guest's own, from its ELF. A patched page shows another one."""
    try:
        return " ".join(gdb.execute(f"x/i {pc:#x}", to_string=True).split(":", 1)[1].split())
    except gdb.error:
        return ""


def symbol(pc):
    text = gdb.execute(f"info symbol {pc:#x}", to_string=True).split(" in section")[0]
    return "" if "No symbol" in text else text.replace(" ", "")


def line_of(pc):
    """[file, line] of a pc of the guest; None where there is no source."""
    here = gdb.find_pc_line(pc)
    return [here.symtab.filename, here.line] if here.symtab else None


def place(name):
    """[file, line] of a function, of the stop itself where that is assembly's."""
    block = gdb.block_for_pc(number("$pc"))
    while block and not (block.function and block.function.name == name):
        block = block.superblock  # what was inlined here
    here = block.function if block else gdb.find_pc_line(number("$pc"))
    return [here.symtab.filename, here.line]


def find_sret(address):
    """The instruction that ends trap_return: the guest is back behind it."""
    for line in gdb.execute(f"x/80i {address:#x}", to_string=True).splitlines():
        if line.split()[-1] == "sret":
            return int(line.replace("=>", "").split()[0].rstrip(":"), 0)
    raise gdb.GdbError("trap_return has no sret")


def real():
    return {name: number(f"${name}") for name in REAL}


def virtual():
    vcpu = gdb.parse_and_eval("vcpu0")
    values = {"mode": "vS" if int(vcpu["mode"]) else "vU", "pc": int(vcpu["pc"]) & MASK}
    values.update((name, int(vcpu["csr"][name]) & MASK) for name in VIRTUAL)
    values.update((name, int(vcpu["x"][i]) & MASK) for i, name in enumerate(REGISTERS))
    return values


def changes(kind, old, new):
    return [[kind, name, old[name], new[name]] for name in new if name in old and old[name] != new[name]]


def is_delegated(scause):
    """Whether the machine's firmware lets this trap come to S-mode at once."""
    which = "$mideleg" if scause & INTERRUPT else "$medeleg"
    return bool(number(which) >> (scause & 63) & 1)


class Exit:
    """What was seen in one exit, from the trap to the guest's next instruction. steps: of the VMM, in order,
    each with what changed until the next one."""

    def __init__(self):
        self.patch = PATCH
        self.real, self.virtual = real(), virtual()
        self.scause, self.stval, self.pc = self.real["scause"], self.real["stval"], self.real["sepc"]
        self.mode = self.virtual["mode"]
        self.text, self.symbol, self.source = instruction(self.pc), symbol(self.pc), line_of(self.pc)
        self.delegated = is_delegated(self.scause)
        self.rows, self.names = [], set()
        self.exit_class, self.detail, self.after = None, None, None

    def add(self, name):
        self.rows.append((name, place(name), []))
        self.names.add(name)

    def count(self):
        """What the VMM has counted it as."""
        self.exit_class = str(gdb.parse_and_eval("(enum exit_class)(vm0.stats.last.bits >> 32)"))
        self.detail = number("(unsigned)vm0.stats.last.bits")

    def record(self, skipped, what):
        before = {"mode": self.mode, "pc": self.pc, **{name: self.virtual[name] for name in REAL}}
        after = {name: self.after[1][name] for name in before}
        return {"what": what, "skipped": skipped, "mode": self.mode, "pc": self.pc, "symbol": self.symbol,
                "text": self.text, "source": self.source, "scause": self.scause,
                "delegated": self.delegated, "next": [symbol(after["pc"]), line_of(after["pc"])], "class": self.exit_class, "detail": self.detail,
                "steps": [{"name": name, "file": where[0], "line": where[1], "changes": rows}
                          for name, where, rows in self.rows],
                "real": [self.real, self.after[0]],
                "virtual": [before, after]}


def counted(exits):
    """{class: how many} of exits that are not shown."""
    total = {}
    for found in exits:
        total[found.exit_class] = total.get(found.exit_class, 0) + 1
    return total


class Walk:
    def __init__(self):
        self.steps = {address: name for name, address in addresses("TRIDENT_STEPS").items()}
        self.points = {}
        for address, name in self.steps.items():
            self.points[name] = gdb.Breakpoint(f"*{address:#x}", internal=True)
            self.points[name].silent = True
        self.watch(["trap_return"])
        go()  # the VMM has moved, and the guest is about to start
        self.at_sret = gdb.Breakpoint(f"*{find_sret(number('$pc')):#x}", internal=True)
        self.at_sret.enabled = False
        self.starts, self.begun = {}, set()
        for name, address in addresses("TRIDENT_STARTS").items():
            self.starts[name] = gdb.Breakpoint(f"*{address:#x}", internal=True)
            self.starts[name].enabled = False

    def watch(self, names):
        for name, point in self.points.items():
            if point.enabled != (name in names):
                point.enabled = name in names

    def start(self, name, skip=0):
        """Runs to the guest's function, the first time or after so many calls."""
        self.begun.add(name)
        self.watch([])
        self.starts[name].enabled = True
        for _ in range(skip + 1):
            go()
        self.starts[name].enabled = False

    def next_exit(self, end):
        """Runs to trap_entry. None: the guest came to its function end before."""
        self.watch(["trap_entry"])
        if end:
            self.starts[end].enabled = True
        at = go()
        if end:
            self.starts[end].enabled = False
        if self.steps.get(at) != "trap_entry":
            return None
        return Exit()

    def pass_by(self, found, step):
        """One that is not looked for: whether it reaches that step, and what it is counted as."""
        self.watch({"trap_return", step})
        while self.steps[go()] != "trap_return":
            found.names.add(step)
        found.count()

    def follow(self, found):
        """Each step, from trap_entry to the guest's next instruction."""
        self.watch(self.steps.values())
        name, before = "trap_entry", (found.real, None)
        while True:
            found.add(name)
            if name == "trap_return":
                break
            name = self.steps[go()]
            now = (real(), virtual())
            lines = found.rows[-1][2]
            lines += changes("real", before[0], now[0])
            if before[1]:  # at trap_entry the vcpu does not hold the guest's registers yet
                lines += changes("virtual", before[1], now[1])
            before = now
        found.count()
        self.watch([])
        self.at_sret.enabled = True
        go()
        self.at_sret.enabled = False
        found.rows[-1][2].extend(changes("real", before[0], real()))
        found.after = (real(), now[1])

    def look(self, part, end):
        """(The next exit that is the one, those before it, whether the guest came to its function end). The exit
        is None if there was none until then, or among so many."""
        passed = []
        for _ in range(walk_steps.EXITS):
            found = self.next_exit(end)
            if found is None:
                return None, passed, True
            if part.begins(found):
                self.follow(found)
                if part.matches(found):
                    return found, passed, False
            else:
                self.pass_by(found, part.step)
            passed.append(found)
        return None, passed, False

    def find(self, event):
        """An event as the report has it."""
        if event.after and event.after not in self.begun:
            self.start(event.after)
        self.start(event.start, event.skip)
        record = {"exits": [], "missing": []}
        for part in event.parts:
            found, passed, ended = self.look(part, event.end)
            if found:
                record["exits"].append(found.record(counted(passed), part.what))
                continue
            carried = [one for one in passed if part.step and part.step in one.names]
            record["missing"].append({"what": part.what, "class": part.exit_class, "looked": counted(passed),
                                      "ended": ended, "step": part.step, "carried": counted(carried)})
            break
        return record


def main():
    base = os.environ["TRIDENT_BASE"]
    gdb.execute(f"add-symbol-file build/trident/trident.elf -o {base}", to_string=True)
    gdb.execute(f"target remote {os.environ['TRIDENT_GDB']}", to_string=True)
    walk = Walk()
    for name in os.environ["TRIDENT_EVENTS"].split(","):
        tell({"event": name, **walk.find(walk_steps.EVENTS[name])})
    tell({"done": True})


for setting in ("confirm off", "pagination off", "architecture riscv:rv64",
                "breakpoint always-inserted on", "trust-readonly-sections on"):
    gdb.execute(f"set {setting}", to_string=True)
main()
gdb.execute("disconnect")

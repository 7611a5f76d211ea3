"""gdb's side of `make walk`: stops a run at the VMM's functions and prints what it finds there.

Environment: TRIDENT_GDB (QEMU's socket), TRIDENT_BASE (where the VMM is), TRIDENT_STEPS and
TRIDENT_STARTS (name=address,...: of the VMM's functions, of the guest's), TRIDENT_EVENTS, TRIDENT_PATCH,
TRIDENT_REPORT (a file).
"""

import os
import sys

import gdb

sys.path.insert(0, "scripts")
from runner import walk_steps  # noqa: E402

REAL = ("scause", "sepc", "stval", "sstatus", "satp")
VIRTUAL = ("sstatus", "sie", "sip", "stvec", "sscratch", "sepc", "scause", "stval", "satp")
REGISTERS = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 "
             "s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6").split()
CAUSES = {2: "illegal instruction", 8: "ecall", 12: "fetch page fault", 13: "load page fault",
          15: "store page fault"}
INTERRUPTS = {1: "software interrupt", 5: "timer interrupt", 9: "external interrupt"}
SSTATUS = {"SIE": 1, "SPIE": 5, "SPP": 8, "SUM": 18, "MXR": 19}
MASK = (1 << 64) - 1


report = open(os.environ["TRIDENT_REPORT"], "w", encoding="utf-8")  # gdb talks on its own output


def tell(text=""):
    print(text, file=report, flush=True)


def addresses(name):
    pairs = (word.split("=") for word in os.environ[name].split(",") if word)
    return {key: int(value, 0) for key, value in pairs}


def number(text):
    return int(gdb.parse_and_eval(text)) & MASK


def go():
    gdb.execute("continue", to_string=True)
    return number("$pc")


def cause_name(scause):
    return INTERRUPTS.get(scause & 0xFF) if scause >> 63 else CAUSES.get(scause)


def instruction(pc):
    """The guest's own, from its ELF: (kind, text). A patched page shows another one."""
    try:
        text = gdb.execute(f"x/i {pc:#x}", to_string=True).split(":", 1)[1].strip()
    except gdb.error:
        return "", ""
    word = text.split()[0]
    return ("csr" if word.startswith("csr") else word), " ".join(text.split())


def place(name):
    """file:line of a function, of the stop itself where that is assembly's."""
    block = gdb.block_for_pc(number("$pc"))
    while block and not (block.function and block.function.name == name):
        block = block.superblock  # what was inlined here
    here = block.function if block else gdb.find_pc_line(number("$pc"))
    return f"{here.symtab.filename}:{here.line}"


def find_sret(address):
    """The instruction that ends trap_return: the guest is back behind it."""
    for line in gdb.execute(f"x/80i {address:#x}", to_string=True).splitlines():
        if line.split()[-1] == "sret":
            return int(line.replace("=>", "").split()[0].rstrip(":"), 0)
    raise gdb.GdbError("trap_return has no sret")


class Exit:
    """What was seen in one exit: steps (name -> changes since the step before)."""

    def __init__(self):
        self.patch = os.environ["TRIDENT_PATCH"]
        self.real, self.virtual = real(), virtual()
        self.scause, self.stval, self.pc = self.real["scause"], self.real["stval"], self.real["sepc"]
        self.mode = self.virtual["mode"]
        self.kind, self.text = instruction(self.pc)
        self.steps = {}
        self.rows = []


def real():
    return {name: number(f"${name}") for name in REAL}


def virtual():
    vcpu = gdb.parse_and_eval("vm0.vcpu")
    values = {"mode": "vS" if int(vcpu["mode"]) else "vU", "pc": int(vcpu["pc"]) & MASK}
    values.update((name, int(vcpu["csr"][name]) & MASK) for name in VIRTUAL)
    values.update((name, int(vcpu["x"][i]) & MASK) for i, name in enumerate(REGISTERS))
    return values


def show(value):
    return value if isinstance(value, str) else f"{value:#x}"


def changes(kind, old, new):
    return [f"{kind} {name}: {show(old[name])} -> {show(new[name])}" for name in new
            if name in old and old[name] != new[name]]


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
        self.starts = {}
        for name, address in addresses("TRIDENT_STARTS").items():
            self.starts[name] = gdb.Breakpoint(f"*{address:#x}", internal=True)
            self.starts[name].enabled = False

    def watch(self, names):
        for name, point in self.points.items():
            if point.enabled != (name in names):
                point.enabled = name in names

    def start(self, name):
        """Runs to the guest's function."""
        self.watch([])
        self.starts[name].enabled = True
        go()
        self.starts[name].enabled = False

    def one_exit(self):
        """The next one, from trap_entry to the guest's next instruction."""
        self.watch(["trap_entry"])
        go()
        found = Exit()
        self.watch(self.steps.values())
        name, before = "trap_entry", (found.real, None)
        while True:
            found.rows.append((name, place(name), []))
            found.steps[name] = True
            if name == "trap_return":
                break
            name = self.steps[go()]
            now = (real(), virtual())
            lines = found.rows[-1][2]
            lines += changes("real", before[0], now[0])
            if before[1]:  # at trap_entry the vcpu does not hold the guest's registers yet
                lines += changes("virtual", before[1], now[1])
            before = now
        found.exit_class = str(gdb.parse_and_eval("(enum exit_class)vm0.vcpu.exit_class"))
        self.watch([])
        self.at_sret.enabled = True
        go()
        self.at_sret.enabled = False
        found.rows[-1][2].extend(changes("real", before[0], real()))
        found.after = (real(), now[1])
        return found

    def find(self, event):
        """The exits to show; the last try, if there is none."""
        if event.start:
            self.start(event.start)
        for _ in range(walk_steps.EXITS):
            found = self.one_exit()
            if event.matches(found):
                break
        else:
            return []
        exits = [found]
        while event.until and event.until not in found.steps and len(exits) < walk_steps.EXITS:
            found = self.one_exit()
            exits.append(found)
        return [exits[0]] + [exit for exit in exits[1:] if event.until in exit.steps]


def tell_row(kind, name, before, after):
    note = ""
    if name == "scause":
        note = cause_name(after)
    elif name == "sstatus":
        note = " ".join(bit for bit, place in SSTATUS.items() if after >> place & 1)
    mark = "*" if before != after else " "
    tell(f"  {f'{kind} {name}':<16}{show(before):>20}{show(after):>20} {mark} {note}".rstrip())


def print_exit(found):
    where = gdb.execute(f"info symbol {found.pc:#x}", to_string=True).split(" in section")[0]
    where = "" if "No symbol" in where else f" {where}"
    tell(f"  guest, in {found.mode} at {found.pc:#x}{where}: {found.text or '(a process)'}")
    patched = found.scause == 8 and found.kind not in ("", "ecall")
    note = ", which stands here in its place: the site is patched" if patched else ""
    tell(f"  hardware: a trap, {cause_name(found.scause)}{note}")
    for i, (name, place, lines) in enumerate(found.rows, 1):
        tell(f"  {i:>2}. {name:<23} {place}")
        tell(f"      {walk_steps.STEPS[name]}")
        for line in lines:
            tell(f"        {line}")
    mode, pc = found.after[1]["mode"], found.after[1]["pc"]
    tell(f"  counted as {found.exit_class}; the guest goes on in {mode} at {pc:#x}")
    tell(f"  {'':<16}{'at the trap':>20}{'at the sret':>20}")
    for name in REAL:
        tell_row("real", name, found.real[name], found.after[0][name])
    before = dict(found.virtual, pc=found.pc)
    for name in ("mode", "pc", *REAL):
        tell_row("virtual", name, before[name], found.after[1][name])
    tell()


def main():
    base = os.environ["TRIDENT_BASE"]
    gdb.execute(f"add-symbol-file build/trident/trident.elf -o {base}", to_string=True)
    gdb.execute(f"target remote {os.environ['TRIDENT_GDB']}", to_string=True)
    walk = Walk()
    for name in os.environ["TRIDENT_EVENTS"].split(","):
        event = walk_steps.EVENTS[name]
        tell(f"=== {name}: {event.title} ===\n")
        exits = walk.find(event)
        for found in exits:
            print_exit(found)
        if not exits:
            tell("  It did not trap.\n")
    tell("walk: done")


for setting in ("confirm off", "pagination off", "architecture riscv:rv64",
                "breakpoint always-inserted on", "trust-readonly-sections on"):
    gdb.execute(f"set {setting}", to_string=True)
main()
gdb.execute("disconnect")

"""Names and looks: tables only."""

from . import draw
from .value import number

STRATEGIES = {"native": "Native", "native-again": "Native again", "ahci": "Emulated AHCI",
              "ata": "Emulated ATA", "virtio": "Virtio", "passthrough": "Pass-through"}
CONSOLES = {"ahci": "Emulated 16550A", "ata": "Emulated 16550A"}  # the device of console workloads
MACHINES = {**STRATEGIES, "ahci": "Emulated (AHCI, 16550A)", "ata": "Emulated (ATA)"}  # disk and console

# a strategy's colour and marker
LOOKS = {"native": (draw.GREY, "o"), "native-again": (draw.GREY, "X"), "ahci": (draw.VERMILION, "s"),
         "ata": (draw.ORANGE, "D"), "virtio": (draw.BLUE, "^"), "passthrough": (draw.GREEN, "v")}
PEER_LOOK = (draw.PURPLE, "P")
PATCH_LOOKS = {"off": (draw.VERMILION, "s"), "ecall": (draw.ORANGE, "D"), "cluster": (draw.SKY, "^"),
               "inline": (draw.BLUE, "v"), "native": (draw.GREY, "o")}

GROUPS = {"device": "device", "plic": "PLIC", "csr": "CSR", "fault": "page fault", "sbi": "SBI",
          "interrupt": "interrupt", "other": "other"}
# a class of traps: colour and hatching
GROUP_LOOKS = {"device": (draw.VERMILION, ""), "PLIC": (draw.ORANGE, "///"), "CSR": (draw.BLUE, ""),
               "page fault": (draw.SKY, "\\\\\\"), "SBI": (draw.GREEN, "xxx"),
               "interrupt": (draw.PURPLE, "..."), "other": (draw.GREY, "---")}
GROUP_MEANING = {
    "device": "loads and stores of a device's registers",
    "PLIC": "loads and stores of the interrupt controller's registers",
    "CSR": "privileged instructions: CSR accesses, sret, wfi, sfence.vma",
    "page fault": "shadow page table entries to fill, and the guest's own faults passed on to it",
    "SBI": "calls of the guest to its firmware, such as setting the timer",
    "interrupt": "interrupts of the machine",
    "other": "system calls, exceptions and the rest",
}

UNITS = {"disk": "request", "console": "byte", "interrupt": "interrupt", "boot": "boot",
         "nano": "call", "fio": "request", "compile": "compilation"}
NANO = {"null_syscall": "null system call", "read_1": "read of 1 byte", "write_1": "write of 1 byte",
        "pipe_rtt": "pipe round trip", "ctx_switch": "context switch", "page_fault": "page fault",
        "mmap_16": "mmap, touch 16 pages, munmap", "fork_exit": "fork and exit",
        "fork_exec": "fork and exec", "timer_irq": "timer interrupt", "signal": "signal",
        "pread_4k": "4 KiB direct read", "pread_1m": "1 MiB direct read",
        "console_line": "line on the console"}


def strategy(name, params=None):
    """How a strategy, or a peer, is called in the report: by its disk, or by its console if the workload with
    these params is the console's."""
    if (params or {}).get("kind") == "console" and name in CONSOLES:
        return CONSOLES[name]
    return STRATEGIES.get(name, name)


def in_text(name, params=None):
    """The same within a sentence."""
    known = strategy(name, params)
    return known if known[:2].isupper() else known[:1].lower() + known[1:]


def short(name, params=None):
    """The same where there is little room."""
    return strategy(name, params).removeprefix("Emulated ")


def looks():
    """{every name that strategy() gives: its look}."""
    return {**{strategy(name): of for name, of in LOOKS.items()},
            **{console: LOOKS[name] for name, console in reversed(CONSOLES.items())}}


def look(name):
    return LOOKS.get(name, PEER_LOOK)


def size(count):
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{number(count)} B"


def register(device, name):
    """`PxCI store`, `PLIC claim`; an offset that has no name, with its device."""
    if device == "plic":
        return f"PLIC {name}"
    return f"{device}{name}" if name.startswith("+") else name


def workload(name, params):
    """A workload in words."""
    kind = params.get("kind")
    if kind == "disk":
        return f"{size(params['bytes'])} {params['op']}, depth {params['depth']}"
    if kind == "console":
        return f"console {params.get('op', name.split('-')[-1])}"
    if kind == "interrupt":
        return "interrupt latency"
    if kind == "boot":
        return "boot of Linux"
    if kind == "nano":
        operation = params.get("name", name.removeprefix("nano-"))
        return NANO.get(operation, operation.replace("_", " "))
    return params.get("name") or name.replace("-", " ")


def unit(params):
    """What one operation is."""
    return params.get("unit") or UNITS.get(params.get("kind"), "operation")

"""Names and looks: tables only."""

import re

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

# Registers, by strategy and offset: what a driver's author would call them.
AHCI = {0x00: "CAP", 0x04: "GHC", 0x08: "IS", 0x0c: "PI", 0x10: "VS", 0x100: "PxCLB",
        0x104: "PxCLBU", 0x108: "PxFB", 0x10c: "PxFBU", 0x110: "PxIS", 0x114: "PxIE", 0x118: "PxCMD",
        0x120: "PxTFD", 0x124: "PxSIG", 0x128: "PxSSTS", 0x12c: "PxSCTL", 0x130: "PxSERR",
        0x134: "PxSACT", 0x138: "PxCI", 0x13c: "PxSNTF"}
ATA = {0x00: "data", 0x04: "features", 0x08: "sector count", 0x0c: "LBA low", 0x10: "LBA mid",
       0x14: "LBA high", 0x18: "device", 0x1c: "status/command", 0x100: "alternate status/control"}
VIRTIO = {0x10: "DeviceFeatures", 0x14: "DeviceFeaturesSel", 0x20: "DriverFeatures",
          0x24: "DriverFeaturesSel", 0x30: "QueueSel", 0x34: "QueueNumMax", 0x38: "QueueNum",
          0x44: "QueueReady", 0x50: "QueueNotify", 0x60: "InterruptStatus", 0x64: "InterruptACK",
          0x70: "Status", 0xfc: "ConfigGeneration"}
UART = {0: "RBR/THR", 1: "IER", 2: "IIR/FCR", 3: "LCR", 4: "MCR", 5: "LSR", 6: "MSR", 7: "SCR"}
REGISTERS = {("ahci", "disk"): AHCI, ("ata", "disk"): ATA, ("virtio", "disk"): VIRTIO,
             ("virtio", "uart"): VIRTIO, ("ahci", "uart"): UART, ("ata", "uart"): UART}
OFFSET = re.compile(r"\+0x([0-9a-f]+) (load|store)")

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


def register(of_strategy, device, name):
    """`PxCI (+0x138), store`; a name that is not an offset stays. A store to the PLIC's claim completes."""
    found = OFFSET.fullmatch(name)
    if not found and device == "plic":
        name = name.replace(" S ", " ")
        return f"PLIC {'complete' if name == 'claim store' else name}"
    if not found:
        return f"{device} {name}"
    offset = int(found[1], 16)
    known = REGISTERS.get((of_strategy, device), {}).get(offset)
    if known is None:
        return f"{device} {name}"
    return f"{known} (+{offset:#x}) {found[2]}"


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

"""gdb's side of `make gdb`: symbols at the place where the VMM moves to, and three commands.

Tables are read by physical address (QEMU's gdb stub can), so that they are seen whatever the hart
is doing. TRIDENT_BASE is the VMM's final address: empty in a native run.
"""

import os

import gdb

LEVELS = {8: 3, 9: 4, 10: 5}  # satp.MODE -> levels of tables
BITS = "V R W X U G A D".split()
MAP_OFFSETS = (0xFF00000000000000, 0xFFFF800000000000)  # core/host/map.h


class Physical:
    """Within it, gdb's addresses are physical."""

    def __enter__(self):
        gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
        gdb.execute("maintenance flush dcache", to_string=True)

    def __exit__(self, *_):
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)
        gdb.execute("maintenance flush dcache", to_string=True)


def number(text):
    return int(gdb.parse_and_eval(text)) & (1 << 64) - 1


def read_word(address):
    data = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(bytes(data), "little")


def walk(satp, address):
    """Prints each step of a translation."""
    mode = satp >> 60
    if mode == 0:
        print(f"satp {satp:#x}: paging is off, the address is physical")
        return
    if mode not in LEVELS:
        print(f"satp {satp:#x}: mode {mode} is not known")
        return
    table = (satp & (1 << 44) - 1) << 12
    print(f"satp {satp:#x}: Sv{9 * LEVELS[mode] + 12}, ASID {satp >> 44 & 0xFFFF}, root {table:#x}")
    for level in reversed(range(LEVELS[mode])):
        entry_at = table + (address >> 12 + 9 * level & 0x1FF) * 8
        entry = read_word(entry_at)
        flags = "".join(name if entry >> bit & 1 else "-" for bit, name in enumerate(BITS))
        print(f"  level {level}: [{entry_at:#x}] = {entry:#018x} {flags}")
        if not entry & 1:
            print("  not mapped")
            return
        target = (entry >> 10 & (1 << 44) - 1) << 12
        if entry & 0xE:
            inside = (1 << 12 + 9 * level) - 1
            print(f"  -> {target & ~inside | address & inside:#x}")
            return
        table = target
    print("  no leaf: the tables are wrong")


def physical(type_name, pointer):
    """What an address of the VMM's leads to, at its physical address, as an expression."""
    place = number(f"(unsigned long)({pointer})")
    return f"(*({type_name} *){place - next(o for o in MAP_OFFSETS if place >= o and place - o < 1 << 47):#x})"


def vcpu_pointer():
    """The virtual hart, as an expression; None in a native run."""
    return physical("struct vcpu", "&vcpu0") if os.environ.get("TRIDENT_BASE") else None


class Command(gdb.Command):
    def __init__(self, name, run):
        self.__doc__ = run.__doc__
        super().__init__(name, gdb.COMMAND_DATA)
        self.run = run

    def invoke(self, argument, _from_tty):
        self.run(argument)


def show_vcpu(_argument):
    """The virtual hart as the VMM holds it, and what the engine that runs it keeps for it."""
    vcpu = vcpu_pointer()
    if vcpu is None:
        print("a native run has no virtual hart: see info registers")
        return
    with Physical():
        gdb.execute(f"print -elements 32 -- /x {vcpu}")
        if number(f"{vcpu}.engine"):  # the VMM has started
            gdb.execute(f"print /x {physical('struct trap_vcpu', f'{vcpu}.engine')}")


def show_gva(argument):
    """gva ADDRESS: how the guest's page tables translate a guest virtual address."""
    address, satp, vcpu = number(argument), None, vcpu_pointer()
    if vcpu is None:
        satp = number("$satp")
    with Physical():
        walk(number(f"{vcpu}.csr.satp") if satp is None else satp, address)


def show_shadow(argument):
    """shadow ADDRESS: how the tables that the hart uses now translate an address."""
    address, satp = number(argument), number("$satp")
    with Physical():
        walk(satp, address)


Command("vcpu", show_vcpu)
Command("gva", show_gva)
Command("shadow", show_shadow)

if os.environ.get("TRIDENT_BASE"):
    gdb.execute(f"add-symbol-file build/trident/trident.elf -o {os.environ['TRIDENT_BASE']}", to_string=True)
gdb.execute(f"target remote {os.environ['TRIDENT_GDB']}")
print(f"The guest's console: {os.environ.get('TRIDENT_CONSOLE')}. Commands: vcpu, gva, shadow; continue starts it.")

"""What `make bench` measures: tables, and nothing else.

A cell is one workload on one machine, measured by one method: counted (exact, under -icount) or timed.
Its id says all of that; ONLY= is matched against it. Cells that can share a boot do.
All cells of a workload run the same image with the same memory, disk, back end and queue depth.
"""

import re
from dataclasses import dataclass, field, replace

from scripts.runner import options as front_door

QUICK, DEFAULT, FULL = range(3)  # the smallest matrix that a cell is part of
LEVELS = front_door.PATCH_LEVELS
PATCH = front_door.Options().patch  # of every cell that is not about PATCH
TEXTBOOK = LEVELS[0]                # each privileged instruction traps: off


class Refusal(Exception):
    """What is wrong with a request, in a sentence."""


@dataclass(frozen=True)
class Strategy:
    options: dict
    uart: str
    disk: str


STRATEGIES = {
    "native": Strategy({"DEVICE": "native"}, "16550A", "virtio-blk"),
    "ahci": Strategy({"DEVICE": "emulated", "DISK_MODEL": "ahci"}, "emulated 16550A", "emulated AHCI"),
    "ata": Strategy({"DEVICE": "emulated", "DISK_MODEL": "ata"}, "emulated 16550A", "emulated ATA"),
    "virtio": Strategy({"DEVICE": "virtio"}, "virtio console", "virtio-blk"),
    "passthrough": Strategy({"DEVICE": "passthrough"}, "16550A", "virtio-blk"),
}
CONTROL = "native-again"  # native a second time: what is seen where there is no difference
STRATEGIES[CONTROL] = STRATEGIES["native"]
VMM = ("ahci", "ata", "virtio", "passthrough")

# Rounds by size of the matrix. A count is done twice, and if the two differ or the VMM learned, up to COUNT_MOST
# times.
ROUNDS = {"count": (2, 2, 2), "time": (6, 11, 21), "boot-time": (6, 11, 21)}
COUNT_MOST = 6
DROPPED = 1  # leading rounds of a time
PASSES = 3   # over the workloads of a boot that is timed: of each the middle one is its sample
PASS_US = 40_000  # that a pass of a workload is to take: short ones would measure the host's scheduler

# Roughly what a disk request takes, to choose how many make a pass: us at each of DEPTHS, us per KiB.
DISK_US = {"native": ((22, 4, 2), 0.25), "ahci": ((80, 50, 42), 0.25), "ata": ((240, 240, 240), 300),
           "virtio": ((70, 16, 9), 0.25), "passthrough": ((57, 12, 7), 0.25)}

SIZES = (512, 4096, 65536, 1 << 20)
DEPTHS = (1, 8, 32)
DISK_BYTES = 64 << 20      # of the image: all of it stays in the host's page cache
LATENCY_NS = 10_000_000    # of the disk when counting one request at a time (docs/measuring.md)
INPUT_SECONDS = 0.05       # between the bytes of a counted console input

# Linux's PMU driver would stop the machine's instruction counter (natively: a guest has no PMU).
LINUX_WORDS = "loglevel=4 initcall_blacklist=pmu_sbi_devinit"
NANO = ("null_syscall", "read_1", "write_1", "pipe_rtt", "ctx_switch", "page_fault", "mmap_16",
        "fork_exit", "fork_exec", "timer_irq", "signal", "pread_4k", "pread_1m", "console_line")
NANO_DEFAULT = ("null_syscall", "ctx_switch", "page_fault", "fork_exec", "timer_irq", "pread_4k")
FIO = ("randwrite-4k-1", "randread-4k-1", "randwrite-4k-8", "randread-4k-8", "randwrite-4k-32",
       "randread-4k-32", "write-64k", "read-64k", "write-1m", "read-1m")
OPERATIONS = ("rdtime", "csrr sscratch", "csrw sscratch", "csrci, csrsi sstatus.SIE",
              "csrw sepc, csrs sstatus, sret", "ecall from U, csrr, csrw, sret",
              "page fault, 2 sfence.vma, sret", "load from the PLIC", "SBI get_spec_version")


def toggles():
    """[(option, value, strategies)]: one thing taken away or added, on the machine that has it. The
    front door says which there are."""
    rows = [("ABLATE", word, ("ahci", "virtio")) for word in getattr(front_door, "ABLATIONS", ())]
    rows += [("PLIC", word, ("passthrough",)) for word in dict.fromkeys(getattr(front_door, "PLICS", ()))
             if word != "emulated"]
    rows += [("SHADOW", f"no-{word}", ("virtio",)) for word in getattr(front_door, "SHADOW_SWITCHES", ())]
    return [*rows, ("WATCH", "1", ("passthrough",))]


@dataclass(frozen=True)
class Workload:
    """command: for our guest's shell, {n} times the operation."""
    name: str
    params: dict = field(compare=False)
    command: str = ""
    count: int = 1   # operations when counting
    time: int = 1    # and in a pass when timing
    repeat: int = 1  # times that the command is given in a pass


def disk_workload(op, size, depth):
    return Workload(f"disk-{op}-{size}-d{depth}",
                    {"kind": "disk", "unit": "request", "op": op, "bytes": size, "depth": depth},
                    f"bench disk {op} {size} {{n}} {depth}", {1: 8, 8: 64, 32: 128}[depth])


DISK = [disk_workload(op, size, depth) for size in SIZES for op in ("read", "write") for depth in DEPTHS]
CONSOLE_OUT = Workload("console-out", {"kind": "console", "unit": "byte", "op": "out"}, "bench uart {n}",
                       1024, 20480)
CONSOLE_IN = Workload("console-in", {"kind": "console", "unit": "byte", "op": "in"}, "bench input {n}",
                      4, 900, 2)
INTERRUPT = Workload("interrupt", {"kind": "interrupt", "unit": "interrupt"}, "bench interrupt {n}", 50,
                     700)
BOOT = Workload("boot", {"kind": "boot", "unit": "boot"})


def operation_workload(name):
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Workload(f"op-{word}", {"kind": "operation", "unit": "operation", "name": name})


def linux_workload(kind, name, unit):
    return Workload(f"{kind}-{name}", {"kind": kind, "unit": unit, "name": name})


@dataclass(frozen=True)
class Cell:
    part: str
    method: str
    guest: str
    workload: Workload
    strategy: str
    patch: str | None = None  # None natively
    extra: tuple = ()         # further options: ((name, value), ...)
    level: int = DEFAULT

    @property
    def kind(self):
        return self.workload.params["kind"]

    def named(self, strategy, patch, extra):
        words = [self.method, self.guest, self.workload.name, strategy, *([patch] if patch else []),
                 *(f"{name}={value}" for name, value in extra)]
        return "/".join(words)

    @property
    def id(self):
        return self.named(self.strategy, self.patch, self.extra)

    @property
    def native(self):
        """Id of the denominator."""
        return None if self.strategy == "native" else self.named("native", None, ())

    @property
    def base(self):
        """Id of the cell without the toggle."""
        return self.named(self.strategy, self.patch, ()) if self.part == "ablation" else None

    @property
    def operations(self):
        return (counted_operations if self.method == "count" else timed_operations)(self)

    @property
    def exact(self):
        """Its counts must repeat: our guest, one request at a time. Linux has a clock, and with
        several in flight it is chance which ones are done together. Without a queue the VMM itself waits
        for the disk, in instructions."""
        return (("ABLATE", "queue") not in self.extra and self.method == "count" and self.guest == "trident" and
                self.workload.params.get("depth", 1) == 1)

    @property
    def machine(self):
        """Cells with the same one share a boot."""
        apart = {"disk": "bench", "console": "bench", "interrupt": "bench"}.get(self.kind, self.kind)
        if self.method == "count" and not self.exact and self.kind == "disk":
            apart = "deep"
        return (self.method, self.guest, apart, self.strategy, self.patch, self.extra)

    def options(self):
        """The front door's, but for what the run itself adds (RUN, the disk)."""
        options = {**STRATEGIES[self.strategy].options, "GUEST": self.guest,
                   "MEM": "128M" if self.guest == "trident" else "512M",
                   "ICOUNT": "1" if self.method == "count" else "0"}
        if self.patch:
            options["PATCH"] = self.patch
        return {**options, **dict(self.extra)}


def counted_operations(cell):
    """ATA moves each word by a trap: of large requests few are enough, and take seconds."""
    large = cell.strategy == "ata" and cell.workload.params.get("bytes", 0) > 4096
    return min(cell.workload.count, 4) if large else cell.workload.count


def timed_operations(cell):
    """So many that a pass takes long enough, whatever the strategy."""
    if cell.kind != "disk":
        return cell.workload.time
    depth, size = cell.workload.params["depth"], cell.workload.params["bytes"]
    each, per_kib = DISK_US[cell.strategy.removesuffix("-again")]
    return max(depth, round(PASS_US / (each[DEPTHS.index(depth)] + per_kib * size / 1024)))


def patch_of(strategy, patch=PATCH):
    return patch if strategy in VMM else None


# --- The parts of the matrix ---------------------------------------------------------------------------


def disk_level(method, strategy, workload):
    size, depth, op = (workload.params[name] for name in ("bytes", "depth", "op"))
    if strategy == "ata" and (size > 65536 or depth == 32):
        return FULL
    if size == 4096 and (depth == 1 or depth == 8 and method == "time" and op == "read"):
        return QUICK
    return DEFAULT


def trident_cells(method):
    """Strategy x the workloads of our own guest. ATA's UART is that of AHCI: not measured twice."""
    for strategy in STRATEGIES:
        if strategy == CONTROL and method == "count":
            continue  # counts are compared exactly
        part = "control" if strategy == CONTROL else "matrix"
        for workload in (*DISK, CONSOLE_OUT, CONSOLE_IN, INTERRUPT):
            disk = workload in DISK
            level = disk_level(method, strategy, workload) if disk else QUICK
            if (method, workload) == ("count", CONSOLE_IN):
                level = DEFAULT  # its interrupts sometimes meet: it does not always repeat
            if disk or strategy != "ata":
                yield Cell(part, method, "trident", workload, strategy, patch_of(strategy), level=level)


def nano_level(name):
    return DEFAULT if name in NANO_DEFAULT else FULL


def linux_cells():
    for strategy in STRATEGIES:
        if strategy == "ata":
            continue  # Debian has no driver for it
        part = "control" if strategy == CONTROL else "matrix"
        patch = patch_of(strategy)
        yield Cell(part, "boot-time", "linux", BOOT, strategy, patch, level=QUICK)
        for name in NANO:
            yield Cell(part, "time", "linux", linux_workload("nano", name, "call"), strategy, patch,
                       level=nano_level(name))
        for name in FIO:
            yield Cell(part, "time", "linux", linux_workload("fio", name, "request"), strategy, patch,
                       level=FULL)
        yield Cell(part, "time", "linux", Workload("compile", {"kind": "compile", "unit": "compilation"}),
                   strategy, patch, level=FULL)
        if strategy != CONTROL:
            yield Cell(part, "count", "linux", BOOT, strategy, patch)
            for name in NANO:
                yield Cell(part, "count", "linux", linux_workload("nano", name, "call"), strategy, patch,
                           level=nano_level(name))


def headline_ladder(patch):
    """The headline's counts at this level: its table shows those of the textbook, PATCH=off, beside the
    default's. ATA's UART is that of AHCI."""
    read, deep = (disk_workload("read", 4096, depth) for depth in (1, 8))
    for strategy in VMM if patch == TEXTBOOK else ("ahci", "virtio", "passthrough"):
        for workload in (read, deep, CONSOLE_OUT) if patch == TEXTBOOK else (read, CONSOLE_OUT):
            if workload != CONSOLE_OUT or strategy != "ata":
                level = DEFAULT if workload == deep else QUICK
                yield Cell("ladder", "count", "trident", workload, strategy, patch, level=level)


def ladder_cells():
    """Every PATCH level: single operations, and in Linux."""
    for name in OPERATIONS:
        workload = operation_workload(name)
        yield Cell("operation", "count", "trident", workload, "native", level=QUICK)
        for patch in LEVELS:
            yield Cell("operation", "count", "trident", workload, "virtio", patch, level=QUICK)
    for patch in LEVELS:
        if patch == PATCH:
            continue  # is in the matrix already
        yield from headline_ladder(patch)
        for strategy in ("ahci", "virtio", "passthrough"):
            level = DEFAULT if strategy == "virtio" else FULL
            yield Cell("ladder", "count", "linux", BOOT, strategy, patch, level=level)
            yield Cell("ladder", "boot-time", "linux", BOOT, strategy, patch, level=FULL)
            for name in NANO:
                workload = linux_workload("nano", name, "call")
                yield Cell("ladder", "count", "linux", workload, strategy, patch,
                           level=max(level, nano_level(name)))
                yield Cell("ladder", "time", "linux", workload, strategy, patch, level=FULL)


def ablation_cells():
    """Each toggle on requests of 4 KiB, one and eight at a time, and on console output. What is about the
    shadow tables is counted in Linux."""
    disk = [workload for workload in DISK if workload.params["bytes"] == 4096]
    for option, value, strategies in toggles():
        extra = ((option, value),)
        for strategy in strategies:
            if option == "SHADOW":
                for name in NANO_DEFAULT:
                    yield Cell("ablation", "count", "linux", linux_workload("nano", name, "call"), strategy,
                               PATCH, extra)
                continue
            for workload in (*disk, CONSOLE_OUT):
                depth = workload.params.get("depth", 1)
                if depth == 1:
                    cell = Cell("ablation", "count", "trident", workload, strategy, PATCH, extra, QUICK)
                    yield cell if cell.exact else replace(cell, level=DEFAULT)
                elif depth == 8:
                    yield Cell("ablation", "count", "trident", workload, strategy, PATCH, extra)
                    yield Cell("ablation", "time", "trident", workload, strategy, PATCH, extra,
                               DEFAULT if workload.params["op"] == "read" else FULL)


def every_cell():
    """All there are, in the order of the report."""
    cells = [*trident_cells("count"), *trident_cells("time"), *linux_cells(), *ladder_cells(),
             *ablation_cells()]
    names = [cell.id for cell in cells]
    assert len(set(names)) == len(names), "two cells have one id"
    return cells


def select(level, only=None, cells=None):
    """The cells of this size of the matrix, or those of all sizes that ONLY names; with their
    denominators, and the controls of what is timed."""
    cells = every_cell() if cells is None else cells
    if not only:
        return [cell for cell in cells if cell.level <= level]
    try:
        pattern = re.compile(only)
    except re.error as error:
        raise Refusal(f"ONLY={only} is no regular expression ({error}).") from None
    chosen = [cell for cell in cells if pattern.search(cell.id)]
    small = [cell for cell in chosen if cell.level <= level]
    chosen = small or chosen  # a cell that only FULL=1 has may be named too
    if not chosen:
        raise Refusal(f"ONLY={only} selects no cell; `bench/run --cells` lists them.")
    names = {cell.id for cell in chosen}
    names |= {name for cell in chosen for name in (cell.native, cell.base) if name}
    names |= {cell.named(CONTROL, None, ()) for cell in chosen if cell.method != "count"}
    return [cell for cell in cells if cell.id in names]

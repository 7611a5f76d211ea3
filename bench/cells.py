"""What `make bench` runs: tables only.

A cell is a machine (strategy, PATCH) and what is done on it. All cells of one kind run the same image
with the same memory, disk, back end and queue depth; only the strategy differs.
"""

from dataclasses import dataclass

# name in the report -> options of the front door
STRATEGIES = {
    "native": {"DEVICE": "native"},
    "emulated AHCI": {"DEVICE": "emulated", "DISK_MODEL": "ahci"},
    "emulated ATA": {"DEVICE": "emulated", "DISK_MODEL": "ata"},
    "virtio": {"DEVICE": "virtio"},
    "passthrough": {"DEVICE": "passthrough"},
}
CONTROL = "native again"  # native a second time: what is seen where there is no difference

REQUEST = 4096
DISK_BYTES = 512 << 10  # of the image: all of it stays in the host's page cache

# workload -> how to say it to the guest's shell, operations when counting, and when timing
WORKLOADS = {
    "disk read, depth 1": (f"bench disk read {REQUEST} {{n}} 1", 128, 2000),
    "disk read, depth 8": (f"bench disk read {REQUEST} {{n}} 8", 128, 8000),
    "disk write, depth 1": (f"bench disk write {REQUEST} {{n}} 1", 128, 2000),
    "disk write, depth 8": (f"bench disk write {REQUEST} {{n}} 8", 128, 8000),
    "uart output": ("bench uart {n}", 4096, 65536),
}
# Linux's PMU driver would stop the machine's instruction counter (natively: a guest has no PMU).
LINUX_WORDS = "loglevel=4 initcall_blacklist=pmu_sbi_devinit"
SLOW = {"emulated ATA": 32}  # a request is a thousand traps: so many times fewer of them


@dataclass(frozen=True)
class Cell:
    kind: str  # count, time, trap, boot count, boot time
    strategy: str
    patch: str  # "" for native
    workloads: tuple = ()  # (name, operations)

    @property
    def name(self):
        return " ".join(filter(None, (self.kind, self.strategy, self.patch)))

    @property
    def icount(self):
        return not self.kind.endswith("time")

    def options(self):
        """The front door's options."""
        strategy = STRATEGIES["native" if self.strategy == CONTROL else self.strategy]
        options = {**strategy, "ICOUNT": "1" if self.icount else "0", "PATCH": self.patch or "ecall"}
        if self.kind.startswith("boot"):
            return {**options, "GUEST": "linux", "MEM": "512M", "RUN": "poweroff -f",
                    "APPEND": LINUX_WORDS}
        commands = ["bench trap"] if self.kind == "trap" else [
            WORKLOADS[name][0].format(n=n) for name, n in self.workloads]
        return {**options, "GUEST": "trident", "MEM": "128M", "RUN": "; ".join(commands)}


def workloads(strategy, timed):
    """ATA's UART is that of AHCI: not measured twice."""
    return tuple((name, (for_time if timed else for_count) // SLOW.get(strategy, 1))
                 for name, (_, for_count, for_time) in WORKLOADS.items()
                 if not (strategy == "emulated ATA" and name.startswith("uart")))


def levels(strategy, *patches):
    return ("",) if strategy == "native" else patches


def matrix(quick):
    """[(cells, rounds, leading rounds that are dropped)]: the cells of a row are interleaved."""
    count = [Cell("count", strategy, patch, workloads(strategy, False))
             for strategy in STRATEGIES for patch in levels(strategy, "ecall", "off")]
    clock = [Cell("time", strategy, "" if strategy.startswith("native") else "ecall",
                  workloads(strategy, True))
             for strategy in (*STRATEGIES, CONTROL)]
    trap = [Cell("trap", strategy, patch) for strategy in ("native", "virtio")
            for patch in levels(strategy, "ecall", "off")]
    linux = [(strategy, patch) for strategy in STRATEGIES if strategy != "emulated ATA"
             for patch in levels(strategy, "ecall", "off")]  # Debian has no driver for that ATA
    if quick:
        count = [cell for cell in count if cell.patch != "off"]
        linux = [("native", ""), ("virtio", "ecall")]
    boots = [[Cell(kind, *machine) for machine in linux] for kind in ("boot count", "boot time")]
    rounds = (1, 1, 4, 1, 2) if quick else (3, 2, 11, 2, 5)
    dropped = (0, 0, 1, 0, 1)
    return list(zip((count, trap, clock, *boots), rounds, dropped))

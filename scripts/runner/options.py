"""The options of the front door, and every check that can be made before QEMU starts.

A bad option is a Refusal: one sentence that says what is wrong and what to do. Nothing has been
created or changed by then.
"""

import difflib
import errno
import os
import re
import secrets
import shlex
import stat
from dataclasses import dataclass, field

from . import image

STRATEGIES = ("emulated", "virtio", "passthrough")
PATCH_LEVELS = ("off", "ecall", "cluster", "inline")
PLICS = ("emulated", "mapped")
DISK_MODELS = ("ahci", "ata")
MMUS = ("sv39", "sv48")
ABLATIONS = ("coalesce", "notify", "batch", "copy", "queue")
SHADOW_SWITCHES = ("prefill", "superpages", "cache", "shared", "fence", "retry")  # core/observe/names.c
SECTOR = 512
MIB = 1 << 20
MIN_MEM = 16 * MIB
RAM_BASE = 0x80000000
FIRMWARE = 0x80000  # bytes at the start of RAM that OpenSBI keeps
COMMAND_LINE_MAX = 1023  # what Linux on RISC-V keeps; one that is as long may have been cut
BOOT_ARGUMENTS_MAX = 4096  # any other guest's: the VMM takes one byte less
TREE_ROOM = 4 * MIB  # for the device tree, above the images
DISK_ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}
TRACE_LIMIT = 100_000_000
DISK_ERROR_MAX = 64  # sectors: each is a rule of QEMU's

# Variables that make itself uses: known, and none of the runner's business.
MAKE_VARIABLES = ("DEBIAN_SIZE", "TRIDENT_MIRROR", "BUILD", "CROSS", "COMPILER", "SETUP", "LIBFDT_SRC", "APT_MIRROR", "V",
                  "PEER", "KVMTOOL")

# The guests that the Makefile builds: kernel, initial RAM disk, and a symbol table if there is one.
BUILT_GUESTS = {
    "trident": ("build/guest/trident-guest.elf", None),
    "linux": ("{linux}/Image", "{linux}/initramfs.cpio.gz"),
    "uboot": ("build/uboot/u-boot.elf", None),
}
KERNELS = ("trixie", "forky", "sid")  # Debian releases; the first goes to build/linux
DEBIAN_INITRD = "{linux}/debian.cpio.gz"
DEBIAN_ROOT = "build/debian/root.img"
SCRATCH_DISK = "build/run/{pid}.img"  # a copy for one run


class Refusal(Exception):
    """What is wrong with the options, and what to do about it."""


@dataclass
class Options:
    device: str = "virtio"
    uart: str = "virtio"
    disk: str = "virtio"
    disk_model: str = "ahci"
    guest: str = "trident"
    release: str = "trixie"  # of Debian, for GUEST=linux
    root: str = "initramfs"
    kernel: str = ""
    initrd: str | None = None
    append: str = ""
    mem: int = 512 * MIB
    mmu: str = "sv39"
    disk_img: str = "build/disk.img"
    disk_from: str | None = None  # the image that an absent disk_img is a copy of
    disk_kept: bool = True        # after the run
    disk_size: int = 64 * MIB
    disk_ro: bool = False
    disk_latency: int = 0  # ns (make bench): a disk of zeros instead, which answers no sooner
    disk_errors: list = field(default_factory=list)  # (sector, errno)
    run: str = ""
    number: str = field(default_factory=lambda: secrets.token_hex(8))  # of this run, in the guest's marker
    patch: str = "inline"
    plic: str = "emulated"
    ablate: list = field(default_factory=list)  # what is taken away from the device paths
    shadow: tuple = SHADOW_SWITCHES  # what is on
    eager: bool = False  # PATCH=inline: a trampoline for each site, at once
    watch: bool = False  # pass-through registers trap, are counted and passed on
    stats: str | None = None
    times: bool = False  # each exit is timed, those of system calls too
    quiet: bool = False  # without the firmware's banner and the closing table
    timeout: float | None = None
    icount: bool = False
    trace: str | None = None  # file for the timeline
    trace_max: int = 200000   # records
    qemu: list = field(default_factory=list)
    window: tuple | None = None  # rows and columns of the terminal, in an interactive run
    notes: list = field(default_factory=list)  # what the user should know before the run

    @property
    def native(self):
        return self.device == "native"

    @property
    def linux_like(self):
        """Takes RUN as a kernel argument for its init (our own guest takes it as it stands)."""
        return image.is_linux_image(self.kernel)

    def describe(self):
        """The choices, as reports name them."""
        return {
            "device": self.device, "uart": self.uart, "disk": self.disk, "root": self.root,
            "disk_model": self.disk_model, "guest": self.guest, "mem": self.mem, "mmu": self.mmu,
            "patch": self.patch, "plic": self.plic, "ablate": ",".join(self.ablate) or "none",
            "shadow": list(self.shadow), "run": self.run, "icount": self.icount,
        }


def one_of(name, value, allowed):
    if value not in allowed:
        raise Refusal(f"{name}={value} is not known: use {', '.join(allowed[:-1])} or {allowed[-1]}.")
    return value


def flag(name, value):
    return one_of(name, value or "0", ("0", "1")) == "1"


def file_name(text):
    """The same file, by a name that no program takes for one of its options: `-x`, or for a protocol."""
    return text if text.startswith(("/", "./", "../")) or not text else "./" + text


def parse_size(name, text):
    """Bytes of "512M" and the like."""
    match = re.fullmatch(r"(\d+)([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise Refusal(f"{name}={text} is not a size: write a number with K, M or G, such as 512M.")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def show_size(size):
    for shift, unit in ((30, "G"), (20, "M"), (10, "K")):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return f"{size} bytes"


def check_given(env):
    """Refuses a misspelt option: what was set on make's command line and means nothing."""
    known = env["OPTIONS"].split() if "OPTIONS" in env else []
    for name in env.get("GIVEN", "").split():
        if known and name not in known and name not in MAKE_VARIABLES:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "`make help` lists the options."
            raise Refusal(f"there is no option {name}: {hint}")


def parse_strategies(options, env):
    options.device = one_of("DEVICE", env.get("DEVICE") or "virtio", (*STRATEGIES, "native"))
    for name in ("uart", "disk"):
        word = one_of(name.upper(), env.get(name.upper()) or options.device, (*STRATEGIES, "native"))
        if (word == "native") != options.native:
            raise Refusal(f"{name.upper()}={word} does not go with DEVICE={options.device}: "
                          "native is the whole machine without the VMM, so use DEVICE=native alone.")
        setattr(options, name, word)
    options.disk_model = one_of("DISK_MODEL", env.get("DISK_MODEL") or "ahci", DISK_MODELS)
    options.patch = env.get("PATCH") or "inline"
    one_of("PATCH", options.patch, PATCH_LEVELS)
    options.shadow = parse_shadow(env.get("SHADOW") or "all")
    options.eager = flag("EAGER", env.get("EAGER"))
    if options.eager and options.patch != "inline":
        raise Refusal("EAGER=1 goes with PATCH=inline.")
    options.watch = flag("WATCH", env.get("WATCH"))
    if options.watch and "passthrough" not in (options.uart, options.disk):
        raise Refusal("WATCH=1 goes with a device that is passed through: use DEVICE=passthrough.")
    parse_device_paths(options, env)
    options.mmu = one_of("MMU", env.get("MMU") or "sv39", MMUS)


def parse_device_paths(options, env):
    options.plic = one_of("PLIC", env.get("PLIC") or "emulated", PLICS)
    if options.plic == "mapped" and (options.uart, options.disk) != ("passthrough", "passthrough"):
        raise Refusal("PLIC=mapped gives the guest the machine's own interrupt controller, so all of "
                      "its devices must be the machine's: use DEVICE=passthrough.")
    words = [word for word in (env.get("ABLATE") or "none").split(",") if word != "none"]
    for word in words:
        one_of("ABLATE", word, ABLATIONS)
    options.ablate = [word for word in ABLATIONS if word in words]
    if options.ablate and "virtio" not in (options.uart, options.disk) and options.disk != "emulated":
        raise Refusal("ABLATE takes something away from an emulated or a virtio device: use "
                      "DEVICE=emulated or DEVICE=virtio.")


def parse_shadow(text):
    """The switches of shadow paging that are on. Words from left to right: all, none, NAME, no-NAME."""
    on = set(SHADOW_SWITCHES)
    for word in text.split(","):
        name = word.removeprefix("no-")
        if word in ("all", "none"):
            on = set(SHADOW_SWITCHES if word == "all" else ())
        elif name not in SHADOW_SWITCHES:
            raise Refusal(f"SHADOW={text}: there is no switch {word!r}: use all, none, or a list of "
                          f"{', '.join(SHADOW_SWITCHES)}, each with no- before it to turn it off.")
        elif word == name:
            on.add(name)
        else:
            on.discard(name)
    return tuple(name for name in SHADOW_SWITCHES if name in on)


def parse_memory(options, env):
    text = env.get("MEM") or "512M"
    options.mem = parse_size("MEM", text)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if options.mem < MIN_MEM:
        raise Refusal(f"MEM={text} is too small for any guest: use {show_size(MIN_MEM)} or more.")
    if options.mem % (2 * MIB):
        raise Refusal(f"MEM={text} is not a multiple of 2M: round it.")
    if options.mem > machine:
        raise Refusal(f"MEM={text} is more than this machine has ({machine >> 20}M): use less.")


def parse_guest(options, env, built):
    """built: the Makefile's own guests are there (they may not be, before make has run)."""
    options.guest = env.get("GUEST") or "trident"
    initrd = None
    parse_debian(options, env)
    if options.guest in BUILT_GUESTS:
        linux = "build/linux" + ("" if options.release == KERNELS[0] else f"-{options.release}")
        options.kernel, initrd = (path and path.format(linux=linux)
                                  for path in BUILT_GUESTS[options.guest])
        if options.root == "debian" and options.guest == "linux":
            initrd = DEBIAN_INITRD.format(linux=linux)
    else:
        options.kernel = file_name(options.guest)
        if not os.path.exists(options.kernel):
            raise Refusal(f"GUEST={options.guest} is neither trident, linux, uboot, nor a file that exists: "
                          "give the path of a Linux Image or an ELF.")
    if env.get("INITRD"):
        initrd = env["INITRD"]
        check_readable("INITRD", initrd)
        if os.path.getsize(initrd) == 0:
            raise Refusal(f"INITRD={initrd} is empty: give an initial RAM disk.")
    options.initrd = initrd and file_name(initrd)
    if options.guest in BUILT_GUESTS and not built:
        return
    check_readable("GUEST", options.kernel)
    try:
        first, end, entry = image.extent(options.kernel, RAM_BASE)
    except image.BadImage as bad:
        raise Refusal(f"GUEST={options.guest}: {bad}") from None
    initrd_size = os.path.getsize(initrd) if initrd else 0
    if RAM_BASE <= first < RAM_BASE + FIRMWARE:
        raise Refusal(f"GUEST={options.guest} is linked at {first:#x}, where the firmware is: "
                      f"{image.MACHINE_MODE}")
    if first < RAM_BASE and image.is_firmware(options.kernel):
        raise Refusal(f"GUEST={options.guest} is OpenSBI: {image.MACHINE_MODE}")
    if first < RAM_BASE + FIRMWARE or first >= RAM_BASE + options.mem:
        raise Refusal(f"GUEST={options.guest} is linked at {first:#x}, where a guest has no RAM: "
                      f"link it at {RAM_BASE + 2 * MIB:#x}.")
    if options.native and entry != first:
        raise Refusal(f"GUEST={options.guest} starts at {entry:#x}, but QEMU enters an ELF at its lowest "
                      f"address, {first:#x}: link it with `-z max-page-size=4096 -n`.")
    if end > image.top(RAM_BASE, options.mem, initrd_size):
        need = end - RAM_BASE + initrd_size + TREE_ROOM
        raise Refusal(f"GUEST={options.guest} does not fit MEM={show_size(options.mem)}: "
                      f"use MEM={(need + 16 * MIB - 1) // (16 * MIB) * 16}M or more.")


def parse_debian(options, env):
    """What is there for GUEST=linux and uboot alone."""
    options.release = one_of("KERNEL", env.get("KERNEL") or KERNELS[0], KERNELS)
    options.root = one_of("ROOT", env.get("ROOT") or "initramfs", ("initramfs", "debian"))
    if options.release != KERNELS[0] and options.guest != "linux":
        raise Refusal(f"KERNEL={options.release} goes with GUEST=linux only: add that, or leave KERNEL out.")
    if options.root != "initramfs" and options.guest not in ("linux", "uboot"):
        raise Refusal(f"ROOT={options.root} goes with GUEST=linux and GUEST=uboot only: add one of them, "
                      "or leave ROOT out.")
    if options.guest == "uboot" and options.uart == "virtio":
        if "UART" in env.get("GIVEN", "").split():
            raise Refusal("UART=virtio does not go with GUEST=uboot, which has no driver for a virtio "
                          "console: use UART=emulated or UART=passthrough.")
        options.uart = "emulated"
        options.notes.append("U-Boot has no driver for a virtio console: its UART is emulated")


def check_readable(name, path):
    if not os.path.isfile(path):
        raise Refusal(f"{name}={path} is not a file that exists: check the path.")
    if not os.access(path, os.R_OK):
        raise Refusal(f"{name}={path} cannot be read: check its permissions.")


def parse_disk(options, env):
    if options.root == "debian":
        options.disk_from = DEBIAN_ROOT
        if not env.get("DISK_IMG"):
            options.disk_img, options.disk_kept = SCRATCH_DISK.format(pid=os.getpid()), False
            options.disk_ro = flag("DISK_RO", env.get("DISK_RO"))
            return
    path = env.get("DISK_IMG") or "build/disk.img"
    options.disk_img = file_name(path)
    options.disk_ro = flag("DISK_RO", env.get("DISK_RO"))
    text = env.get("DISK_SIZE") or "64M"
    options.disk_size = parse_size("DISK_SIZE", text)
    if options.disk_size == 0 or options.disk_size % SECTOR:
        raise Refusal(f"DISK_SIZE={text} is not a multiple of {SECTOR} bytes: round it.")
    if os.path.exists(path):
        check_disk(path, options.disk_ro)
        return
    folder = os.path.dirname(path) or "."
    if folder == "build" and not os.path.exists(folder):
        folder = "."
    if not os.path.isdir(folder):
        raise Refusal(f"DISK_IMG={path}: the folder {folder} does not exist; create it first.")
    if not os.access(folder, os.W_OK):
        raise Refusal(f"DISK_IMG={path}: the folder {folder} cannot be written; choose another one.")
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if free < options.disk_size:
        raise Refusal(f"DISK_IMG={path}: only {free >> 10}K are free there for a disk of "
                      f"{show_size(options.disk_size)}; free some space or use a smaller DISK_SIZE.")


def parse_disk_error(options, env):
    """FIRST+COUNT[:ERROR],...: the sectors that the machine's disk fails on."""
    text = env.get("DISK_ERROR")
    for part in text.split(",") if text else []:
        match = re.fullmatch(r"(\d+)\+(\d+)(?::(\w+))?", part)
        if not match or (match[3] or "EIO") not in DISK_ERRORS:
            raise Refusal(f"DISK_ERROR={text} is not understood: write a first sector and a number of "
                          "sectors, such as 2048+8 or 2048+8:ENOSPC, and several with commas between.")
        first, count, number = int(match[1]), int(match[2]), DISK_ERRORS[match[3] or "EIO"]
        if count + len(options.disk_errors) > DISK_ERROR_MAX:
            raise Refusal(f"DISK_ERROR={text} is too much: name {DISK_ERROR_MAX} sectors or less.")
        options.disk_errors += [(sector, number) for sector in range(first, first + count)]


def check_disk(path, read_only):
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise Refusal(f"DISK_IMG={path} is not a disk image: give a regular file.")
    check = os.R_OK if read_only else os.R_OK | os.W_OK
    if not os.access(path, os.R_OK):
        raise Refusal(f"DISK_IMG={path} cannot be read: check its permissions.")
    # The mode bits count for root too, who could write all the same.
    if not read_only and not (os.access(path, check) and mode & 0o222):
        raise Refusal(f"DISK_IMG={path} is read-only: make it writable, or set DISK_RO=1.")
    if stat.S_ISREG(mode) and (os.path.getsize(path) == 0 or os.path.getsize(path) % SECTOR):
        raise Refusal(f"DISK_IMG={path} has {os.path.getsize(path)} bytes, which is no whole number "
                      f"of {SECTOR}-byte sectors: pad it with truncate -s %{SECTOR}.")


def parse_run(options, env):
    options.append = env.get("APPEND") or ""
    options.run = " ; ".join(line for line in (env.get("RUN") or "").splitlines() if line.strip())
    options.icount = flag("ICOUNT", env.get("ICOUNT"))
    options.quiet = flag("QUIET", env.get("QUIET"))
    options.stats = env.get("STATS") or None
    options.times = flag("TIMES", env.get("TIMES") or ("1" if options.stats else ""))
    check_writable("STATS", options.stats)
    parse_trace(options, env)
    if env.get("TIMEOUT"):
        try:
            options.timeout = float(env["TIMEOUT"])
        except ValueError:
            options.timeout = 0
        if not 0 < options.timeout < 1e9:
            raise Refusal(f"TIMEOUT={env['TIMEOUT']} is not a number of seconds: use one above 0.")
    try:
        options.qemu = shlex.split(env.get("QEMU") or "")
    except ValueError as error:
        raise Refusal(f"QEMU={env['QEMU']} cannot be split into arguments ({error}): "
                      "check its quotes.") from None


def check_writable(name, path):
    folder = os.path.dirname(path or "") or "."
    if path and (not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(path)):
        raise Refusal(f"{name}={path} cannot be written: name a file in a folder that "
                      "exists and may be written.")


def parse_trace(options, env):
    """TRACE: the time is counted in instructions, so ICOUNT=1 belongs to it."""
    options.trace = env.get("TRACE") or None
    if env.get("TRACE_MAX"):
        text = env["TRACE_MAX"]
        if not text.isdecimal() or not 0 < int(text) <= TRACE_LIMIT:
            raise Refusal(f"TRACE_MAX={text} is not a number of records: use 1 to {TRACE_LIMIT}.")
        options.trace_max = int(text)
    if not options.trace:
        return
    if options.native:
        raise Refusal("DEVICE=native has no VMM whose exits could be traced: "
                      "use DEVICE=emulated, virtio or passthrough.")
    check_writable("TRACE", options.trace)
    options.icount = True


def parse(env, built=True):
    """Options from the environment; raises Refusal."""
    options = Options()
    check_given(env)
    parse_strategies(options, env)
    parse_memory(options, env)
    parse_run(options, env)
    parse_guest(options, env, built)
    parse_disk(options, env)
    parse_disk_error(options, env)
    if not options.run and os.isatty(0):
        columns, rows = os.get_terminal_size(0)
        options.window = (rows, columns) if rows and columns else None
    return options

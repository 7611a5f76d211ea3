"""The one table of system tests: what is run, and what must come of it.

A row is one `make qemu` with its options. {files} is a folder of good and bad files (files.py),
{tmp} an empty folder of the row's own, where its disk image is made unless it names one.
"""

from dataclasses import dataclass, field


@dataclass
class Row:
    name: str
    options: dict
    status: int = 0             # of the run itself; make turns every failure into 2
    expect: list = field(default_factory=list)  # patterns that the output must have, in this order
    absent: list = field(default_factory=list)  # and must not have
    seconds: float = 60         # the row fails if it takes longer
    untouched: bool = False     # no file may be made or changed
    stats: bool = False         # written, follows the schema


STRATEGIES = ("emulated", "virtio", "passthrough")
EVERY = ("native", *STRATEGIES)
SHADOW_SWITCHES = ("prefill", "superpages", "cache", "shared", "fence", "retry")
PATCHES = ("off", "ecall", "cluster", "inline")



def refused(name, sentence, **options):
    """Bad input: one sentence, at once, and nothing is touched."""
    return Row(f"refuse-{name}", options, status=2, expect=[r"^trident: .*" + sentence], seconds=2,
               untouched=True)


REFUSED = [
    refused("device", "DEVICE=nonsense is not known: use emulated", DEVICE="nonsense"),
    refused("uart", "UART=nonsense is not known", UART="nonsense"),
    refused("native-mixed", "UART=virtio does not go with DEVICE=native", DEVICE="native",
            UART="virtio"),
    refused("disk-model", "DISK_MODEL=floppy is not known: use ahci or ata", DISK_MODEL="floppy"),
    refused("patch", "PATCH=nonsense is not known: use off, ecall, cluster or inline", PATCH="nonsense"),
    refused("shadow", "SHADOW=no-nonsense: there is no switch 'no-nonsense': use all, none, or a list of prefill",
            SHADOW="no-nonsense"),
    refused("option-name", "no option DISKIMG: did you mean DISK_IMG", DISKIMG="{tmp}/x.img"),
    refused("guest-unknown", "GUEST=windows is neither trident, linux, uboot, nor a file", GUEST="windows"),
    refused("kernel", "KERNEL=nonsense is not known: use trixie, forky or sid", KERNEL="nonsense"),
    refused("kernel-of-none", "KERNEL=sid goes with GUEST=linux only", KERNEL="sid"),
    refused("root", "ROOT=nonsense is not known: use initramfs or debian", ROOT="nonsense"),
    refused("root-of-none", "ROOT=debian goes with GUEST=linux and GUEST=uboot only", ROOT="debian"),
    refused("uboot-console", "UART=virtio does not go with GUEST=uboot", GUEST="uboot", UART="virtio"),
    refused("guest-empty", "the file is empty", GUEST="{files}/empty"),
    refused("guest-text", "neither a RISC-V Linux Image nor an ELF", GUEST="{files}/text"),
    refused("guest-short-elf", "truncated", GUEST="{files}/short.elf"),
    refused("guest-x86-elf", "not for 64-bit RISC-V", GUEST="{files}/x86.elf"),
    refused("guest-short-image", "truncated", GUEST="{files}/short.Image"),
    refused("guest-gzip", "compressed; unpack it", GUEST="{files}/guest.gz"),
    refused("guest-too-large", r"does not fit MEM=16M: use MEM=\d+M or more", MEM="16M",
            GUEST="{files}/large.Image"),
    refused("guest-outside", "where a guest has no RAM", GUEST="{files}/outside.elf"),
    refused("initrd", "INITRD=.* is not a file that exists", INITRD="{tmp}/none"),
    refused("watch", "WATCH=1 goes with a device that is passed through", WATCH="1"),
    refused("eager", "EAGER=1 goes with PATCH=inline", EAGER="1", PATCH="ecall"),
    refused("plic", "all of its devices must be the machine's: use DEVICE=passthrough", PLIC="mapped"),
    refused("ablate", "ABLATE=speed is not known", ABLATE="copy,speed"),
    refused("ablate-nothing", "ABLATE takes something away from an emulated or a virtio device",
            DEVICE="passthrough", ABLATE="copy"),
    refused("mem-small", "MEM=1M is too small", MEM="1M"),
    refused("mem-word", "MEM=lots is not a size", MEM="lots"),
    refused("mem-large", "more than this machine has", MEM="100T"),
    refused("disk-folder", "the folder .* does not exist", DISK_IMG="{tmp}/none/disk.img"),
    refused("disk-read-only", "is read-only: make it writable, or set DISK_RO=1",
            DISK_IMG="{files}/read-only.img"),
    refused("disk-odd", "1000 bytes, which is no whole number", DISK_IMG="{files}/odd.img"),
    refused("disk-empty", "0 bytes, which is no whole number", DISK_IMG="{files}/empty"),
    refused("disk-is-folder", "is not a disk image", DISK_IMG="{files}"),
    refused("disk-size", "DISK_SIZE=100 is not a multiple of 512", DISK_SIZE="100"),
    refused("disk-full", "only .* are free there", DISK_SIZE="1000T"),
    refused("stats-folder", "STATS=.* cannot be written", STATS="{tmp}/none/s.json"),
    refused("timeout", "TIMEOUT=soon is not a number of seconds", TIMEOUT="soon"),
]

# Our own guest: shell and status, in every strategy.
GUEST = [
    Row(f"{device}-echo", {"DEVICE": device, "RUN": "echo it lives; mem; regs"},
        expect=[r"^# echo it lives", r"^it lives", r"^# regs"])
    for device in EVERY
] + [
    Row(f"{device}-status", {"DEVICE": device, "RUN": "poweroff 7"}, status=7,
        expect=["the run ended with status 7"])
    for device in EVERY
] + [
    Row(f"{device}-failed-command", {"DEVICE": device, "RUN": "no-such-command; echo next"}, status=1,
        expect=["^next"])
    for device in EVERY
] + [
    Row(f"{device}-timeout", {"DEVICE": device, "RUN": "sleep 100000", "TIMEOUT": "4"}, status=124,
        expect=[r"the guest had not ended after 4 s", r"the guest was .*0x[0-9a-f]+ \w+\+0x"],
        seconds=15)
    for device in EVERY
]

# The disk and the console against their own drivers: native, all nine pairs, both disk models.
DEVICES = [
    Row("native-devices", {"DEVICE": "native", "RUN": "disktest; uarttest"},
        expect=[r"^disktest: \d+ ok, 0 failed", r"^uarttest: \d+ ok, 0 failed"]),
] + [
    Row(f"uart-{uart}-disk-{disk}", {"UART": uart, "DISK": disk, "RUN": "disktest; uarttest"},
        expect=[r"^disktest: \d+ ok, 0 failed", r"^uarttest: \d+ ok, 0 failed"])
    for uart in STRATEGIES for disk in STRATEGIES
] + [
    Row("disk-ata", {"DEVICE": "emulated", "DISK_MODEL": "ata", "RUN": "disktest"},
        expect=[r"^disktest: \d+ ok, 0 failed"]),
    Row("plic-mapped", {"DEVICE": "passthrough", "PLIC": "mapped", "RUN": "disktest; uarttest",
                        "STATS": "{tmp}/s.json"}, stats=True,
        expect=[r"^disktest: \d+ ok, 0 failed", r"^uarttest: \d+ ok, 0 failed"],
        absent=[r"claim S"]),
    Row("plic-mapped-timeout", {"DEVICE": "passthrough", "PLIC": "mapped", "RUN": "sleep 100000",
                                "TIMEOUT": "4"}, status=124, seconds=15,
        expect=[r"the guest was .*0x[0-9a-f]+ \w+\+0x"]),
] + [
    Row(f"{device}-without-{words}", {"DEVICE": device, "ABLATE": words, "RUN": "disktest"},
        expect=[r"^disktest: \d+ ok, 0 failed"])
    for device in ("emulated", "virtio")
    for words in ("notify,batch", "copy", "queue", "coalesce,notify,batch,copy,queue")
] + [
    Row("disk-read-only-image", {"DISK_IMG": "{files}/read-only.img", "DISK_RO": "1",
                                 "RUN": "disk read 0 8"}),
]

# A guest that misbehaves gets its answer, and the VMM stays up and ends the run in good order.
HOSTILE = [
    Row(f"{device}-{model}-hostile-{way}".replace("-ahci", ""),
        {"DEVICE": device, "DISK_MODEL": model, "RUN": f"hostile {way}; echo still here"},
        expect=["^still here"])
    for device, model in (("emulated", "ahci"), ("emulated", "ata"), ("virtio", "ahci"))
    for way in ("jump", "satp", "sbi", "mmio", "dma")
]

# Debian's Linux: its own view of machine and disk, and what it wrote is there.
WRITE = ("dd if=/bin/busybox of=/dev/trident bs=64k count=8 conv=fsync && "
         "dd if=/dev/trident bs=64k count=8 | cmp -n 524288 - /bin/busybox")
LINUX = [
    Row(f"linux-{device}", {"GUEST": "linux", "DEVICE": device,
                            "RUN": f"uname -a; ls /sys/block; {WRITE}; poweroff -f"},
        expect=[r"^Linux .*riscv64", r"^(vda|sda)"], absent=["ended with status", "Oops", "panic"])
    for device in EVERY
] + [
    Row("linux-plic-mapped", {"GUEST": "linux", "DEVICE": "passthrough", "PLIC": "mapped",
                              "RUN": f"{WRITE}; poweroff -f"},
        absent=["ended with status", "Oops", "panic"]),
    Row("linux-ata", {"GUEST": "linux", "DEVICE": "emulated", "DISK_MODEL": "ata",
                      "RUN": f"{WRITE}; poweroff -f"}, absent=["ended with status", "Oops", "panic"]),
    Row("linux-sv48", {"GUEST": "linux", "MMU": "sv48", "RUN": "true; poweroff -f"},
        absent=["ended with status", "Oops", "panic"]),
    Row("linux-failed-command", {"GUEST": "linux", "RUN": "false; echo next"}, status=1,
        expect=["^next", "a command of RUN failed"]),
]

# Debian's root file system, and U-Boot, which loads its kernel from there. crc32 takes a file's length
# from the load before it.
CHAIN = ("load virtio 0 ${kernel_addr_r} /boot/Image; load virtio 0 ${ramdisk_addr_r} /boot/debian.cpio.gz; "
         "setenv size ${filesize}; fdt move ${fdtcontroladdr} ${fdt_addr_r} 10000; "
         "setenv bootargs console=ttyS0 loglevel=4 root=/dev/trident trident.run=ZmlvIC0tdmVyc2lvbg==; "
         "booti ${kernel_addr_r} ${ramdisk_addr_r}:${size} ${fdt_addr_r}")
GUESTS = [
    Row(f"debian-{device}", {"GUEST": "linux", "ROOT": "debian", "DEVICE": device,
                             "RUN": "fio --version; stress-ng --version; dmesg -l err,crit,alert,emerg; "
                                    "poweroff -f"},
        expect=[r"^fio-3", r"^stress-ng, version", r"^# dmesg .*\n# poweroff"],
        absent=["ended with status"], seconds=120)
    for device in EVERY
] + [
    Row(f"uboot-{device}", {"GUEST": "uboot", "DEVICE": device,
                            "RUN": "version; virtio scan; virtio info; poweroff"},
        expect=[r"^U-Boot 20", r"^Device 0: .*VirtIO Block Device"])
    for device in ("native", "virtio", "passthrough")
] + [
    Row("uboot-chain", {"GUEST": "uboot", "ROOT": "debian", "RUN": CHAIN},
        expect=[r"bytes read in", r"^# fio --version", r"^fio-3", r"^trident-run: done"],
        absent=["ended with status"], seconds=120),
    # What a command prints is not taken for its status.
    Row("uboot-printed-status", {"GUEST": "uboot", "RUN": "echo status=0 && false; version"}, status=1,
        expect=[r"^status=0", "ended with status 1", "a command of RUN failed"]),
    Row("uboot-failed-command", {"GUEST": "uboot", "DEVICE": "native", "RUN": "false; version"}, status=1,
        expect=[r"^U-Boot 20", "'false' ended with status 1", "a command of RUN failed"]),
]

# Statistics: what is written follows the schema, and says what the strategy promises.
STATS = [
    Row(f"{device}-stats", {"DEVICE": device, "RUN": "disk read 0 64", "STATS": "{tmp}/s.json"},
        expect=[r"^exit class ", r"^device ", r"^memory:"], stats=True)
    for device in STRATEGIES
] + [
    # The zeros of pass-through are counted and not assumed: with its pages unmapped the counters count.
    Row("passthrough-watched", {"DEVICE": "passthrough", "WATCH": "1", "RUN": "disk read 0 64",
                                "STATS": "{tmp}/s.json"}, expect=[r"^disk: passthrough/disk"], stats=True),
]

ROWS = REFUSED + GUEST + DEVICES + HOSTILE + LINUX + GUESTS + STATS

# Selftest must say the same as natively, in every strategy and at every patch level.
SELFTESTS = [{"DEVICE": device, "PATCH": patch, "MMU": mmu}
             for mmu in ("sv39", "sv48") for device in STRATEGIES for patch in PATCHES]
# And with each place inlined at once, so that what is executed a few times only is; a timer that goes off
# at each instruction in turn (one is a nanosecond).
SELFTESTS += [{"PATCH": "inline", "EAGER": "1", "MMU": mmu} for mmu in ("sv39", "sv48")]
SELFTESTS += [{"PATCH": "inline", "EAGER": "1", "MMU": "sv39", "ICOUNT": "1"}]
# And without each saving of shadow paging.
SELFTESTS += [{"SHADOW": shadow, "MMU": "sv39"}
              for shadow in ("none", *(f"no-{name}" for name in SHADOW_SWITCHES))]
# And with claim and complete at the machine's own interrupt controller.
SELFTESTS += [{"DEVICE": "passthrough", "PLIC": "mapped", "PATCH": patch, "MMU": "sv39"}
              for patch in PATCHES]
# Lines that may differ: pattern and reason. Keep it short.
SELFTEST_DIFFERS = [
]

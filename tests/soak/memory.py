"""Memory: guests of 64 MiB to 4 GiB boot, and the VMM's own memory keeps to 2 % and 4 MiB.

  memory.py [STRATEGY...] [--sizes 64M,4G]
"""

import argparse
import json
import os
import re
import sys

from .guest import LINUX, STRATEGIES, Failed, Guest, check_memory, disk_of, program, require

SIZES = ("64M", "96M", "128M", "256M", "512M", "1G", "2G", "4G")
LINUX_NEEDS = 128 << 20  # Debian's kernel, its initramfs and what it unpacks
KERNEL = 80 << 20  # what the kernel keeps of that


def size_of(text):
    return int(text[:-1]) << {"M": 20, "G": 30}[text[-1]]


def run_guest(device, size, what, options, tmp):
    path = f"{tmp}/statistics.json"
    options = {**options, "DEVICE": device, "MEM": size, "STATS": path,
               "DISK_IMG": disk_of(f"{tmp}/disk.img", 1 << 20)}
    with Guest(options, 120) as guest:
        status = guest.finish(150)
    try:
        require(status == 0, f"the run ended with status {status}")
        with open(path, encoding="utf-8") as file:
            peak = check_memory(json.load(file))
    except Failed as failed:
        raise Failed(f"{what} of {size} under {device}: {failed}\n{guest.text[-3000:]}") from None
    return guest, f"memory {device} {size} {what}: the VMM's own at most {peak >> 10} KiB"


def memory(device, size, tmp):
    """Our guest; and Linux, which must see the RAM, where it fits. Sentences."""
    yield run_guest(device, size, "our guest", {"RUN": "mem; disktest"}, tmp)[1]
    if size_of(size) >= LINUX_NEEDS:
        guest, sentence = run_guest(device, size, "Linux",
                                    {**LINUX, "RUN": "grep MemTotal /proc/meminfo; poweroff -f"}, tmp)
        kilobytes = int(re.search(r"MemTotal: *(\d+) kB", guest.text)[1])
        require(kilobytes << 10 >= size_of(size) * 0.95 - KERNEL, f"{device} {size}: Linux has {kilobytes} kB")
        yield sentence


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--sizes", default=",".join(SIZES))
    arguments = parser.parse_args()
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    sizes = [size for size in arguments.sizes.split(",") if size_of(size) < room]
    return program(lambda tmp: (sentence for device in arguments.strategies for size in sizes
                                for sentence in memory(device, size, tmp)))


if __name__ == "__main__":
    sys.exit(main())

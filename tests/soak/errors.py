#!/usr/bin/python3
"""Errors from below: the machine's disk fails on a range, is full, or may not be written. The request
fails in the guest as the device says it, Linux logs it and goes on, all others succeed.

  errors.py [STRATEGY...] [--kind eio|enospc|readonly]

Linux under all strategies and natively; the ATA disk, for which Debian's Linux has no driver, by our
own guest.
"""

import argparse
import re
import sys

from guest import EVERY, Failed, Guest, disk_of, program, require, run_script

SIZE = 64 << 20
BLOCK = 256      # of 4 KiB: what fails
SECTOR = BLOCK * 8
KINDS = {
    "eio": {"DISK_ERROR": f"{SECTOR}+8"},
    "enospc": {"DISK_ERROR": f"{SECTOR}+8:ENOSPC"},
    "readonly": {"DISK_RO": "1"},
}

# What AHCI's own error looks like to Linux's driver: task-file error with the error register's bit.
AHCI_SAYS = {
    "eio": [r"error: \{ UNC \}", r"error: \{ ABRT \}"],
    "enospc": [r"error: \{ ABRT \}"],
    "readonly": [r"error: \{ ABRT \}"],
}


def errors(device, kind, tmp):
    disk_of(f"{tmp}/disk.img", SIZE)
    guest = run_script(device, f"errors {kind} {BLOCK}", tmp, **KINDS[kind])
    if device == "emulated":
        for pattern in [r"irq_stat 0x4", *AHCI_SAYS[kind]]:  # bit 30: task-file error
            require(re.search(pattern, guest.text),
                    f"{device} {kind}: no {pattern!r} in\n{guest.text[-6000:]}")
    return f"errors {device} {kind}: ok"


def errors_ata(kind, tmp):
    """Our guest and the ATA disk: the bad sectors fail by the device's error, their neighbours do not."""
    image = disk_of(f"{tmp}/ata.img", SIZE)
    bad = f"disk {'read' if kind == 'eio' else 'write'} {SECTOR} 8"
    good = f"disk read {SECTOR - 8} 8" if kind == "readonly" else f"disk write {SECTOR + 8} 8"
    options = {"DEVICE": "emulated", "DISK_MODEL": "ata", "DISK_IMG": image,
               "RUN": f"{good}; {bad}; {good}; echo still here", **KINDS[kind]}
    with Guest(options, 60) as guest:
        status = guest.finish(90)
    try:
        require(status == 1, f"a failed command was not told: status {status}")
        require(len(re.findall("the device reported an error", guest.text)) == 1,
                "not just the one request failed")
        require("still here" in guest.text, "the guest did not go on")
    except Failed as failed:
        raise Failed(f"ata {kind}: {failed}\n{guest.text[-3000:]}") from None
    return f"errors ata {kind}: ok"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=[*EVERY, "ata"])
    parser.add_argument("--kind", choices=KINDS)
    arguments = parser.parse_args()
    kinds = [arguments.kind] if arguments.kind else KINDS
    return program(lambda tmp: "\n".join(
        errors_ata(kind, tmp) if device == "ata" else errors(device, kind, tmp)
        for device in arguments.strategies for kind in kinds))


if __name__ == "__main__":
    sys.exit(main())

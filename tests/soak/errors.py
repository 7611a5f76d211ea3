"""Errors from below: the machine's disk fails on a range, is full, or may not be written. The request
fails in the guest as the device says it, Linux logs it and goes on, all others succeed.

  errors.py [STRATEGY...] [--kind failing|readonly]

Linux under all strategies and natively; the ATA disk, for which Debian's Linux has no driver, by our
own guest.
"""

import argparse
import re
import sys

from .guest import EVERY, Failed, Guest, disk_of, program, require, run_script

SIZE = 64 << 20
EIO, ENOSPC = 256, 1280  # 4 KiB blocks that fail always, and when written
KINDS = {
    "failing": {"DISK_ERROR": f"{EIO * 8}+8,{ENOSPC * 8}+8:ENOSPC"},
    "readonly": {"DISK_RO": "1"},
}
ARGUMENTS = {"failing": f"eio {EIO} enospc {ENOSPC}", "readonly": f"readonly {EIO}"}

# What AHCI's own error looks like to Linux's driver: bit 30 of the port's interrupt status is the
# task-file error, and the error register says why.
AHCI_SAYS = {
    "failing": [r"irq_stat 0x4", r"error: \{ UNC \}", r"error: \{ ABRT \}"],
    "readonly": [r"irq_stat 0x4", r"error: \{ ABRT \}"],
}


def errors(device, kind, tmp):
    disk_of(f"{tmp}/disk.img", SIZE)
    guest = run_script(device, f"errors {ARGUMENTS[kind]}", tmp, **KINDS[kind])
    if device == "emulated":
        for pattern in AHCI_SAYS[kind]:
            require(re.search(pattern, guest.text),
                    f"{device} {kind}: no {pattern!r} in\n{guest.text[-6000:]}")
    return f"errors {device} {kind}: ok"


def errors_ata(kind, tmp):
    """Our guest and the ATA disk: the device reports the bad requests, the others succeed."""
    image = disk_of(f"{tmp}/ata.img", SIZE)
    bad = [f"disk read {EIO * 8} 8", f"disk write {ENOSPC * 8} 8"]
    good = [f"disk write {EIO * 8 + 8} 8", f"disk verify {EIO * 8 + 8} 8", f"disk read {ENOSPC * 8} 8"]
    if kind == "readonly":
        bad, good = [f"disk write {EIO * 8} 8"], [f"disk read {EIO * 8} 8"]
    options = {"DEVICE": "emulated", "DISK_MODEL": "ata", "DISK_IMG": image,
               "RUN": "; ".join([*good, *bad, *good, "echo still here"]), **KINDS[kind]}
    with Guest(options, 60) as guest:
        status = guest.finish(90)
    try:
        require(status == 1, f"a failed command was not told: status {status}")
        failed = guest.text.count("the device reported an error")
        require(failed == len(bad), f"{failed} requests failed and not {len(bad)}")
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
    return program(lambda tmp: (
        errors_ata(kind, tmp) if device == "ata" else errors(device, kind, tmp)
        for device in arguments.strategies for kind in kinds))


if __name__ == "__main__":
    sys.exit(main())

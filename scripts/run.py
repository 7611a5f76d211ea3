"""Runs one guest in QEMU: natively, or under Trident with each device's chosen strategy.

Called by make, which puts the options into the environment (scripts/help.txt lists them).
  scripts/run           run the guest
  scripts/run --check   only check the options
  scripts/run --trace   run it, and write the timeline of its exits
  scripts/run --gdb     start the machine stopped, and a gdb attached to it
Exit status: 0 only if the guest powered off in good order and every command of RUN succeeded, or if the user ended an
interactive run with Ctrl-A X;
124 after TIMEOUT, 130 after Ctrl-C, 2 for a refused option, else the guest's status or 1.
"""

import os
import sys

from .runner import disk, options as front_door, session, uboot

KNOWN = ({"--check"}, {"--gdb"}, {"--trace"}, set())
TRACED = {"trident": "disktest 64; uarttest", "linux": "true"}  # what `make trace` runs if RUN is not set


def main(arguments):
    if set(arguments) not in KNOWN:
        print(__doc__)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    try:
        if "--trace" in arguments:
            os.environ["TRACE"] = os.environ.get("TRACE") or "build/trace.json"
            os.environ["RUN"] = (os.environ.get("RUN")
                                 or TRACED.get(os.environ.get("GUEST") or "trident", ""))
        options = front_door.parse(os.environ, built="--check" not in arguments)
        if "--check" in arguments:
            with disk.held(options):
                return 0
        kind = uboot.UBootSession if options.guest == "uboot" and options.run else session.Session
        return session.run(options, gdb="--gdb" in arguments, kind=kind)
    except front_door.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make walk`: the run, and the gdb that stops it at the VMM's functions (scripts/gdb_walk.py)."""

import os
import shutil
import subprocess
import tempfile

from . import disk, machine, options as front_door, report, session, walk_steps
from .options import Refusal

FIXED = {"DEVICE": "virtio", "UART": "emulated", "DISK": "virtio", "GUEST": "trident",
         "RUN": walk_steps.RUN}
SECONDS = 120


def find_symbols(path, names):
    """name -> address; refuses a name that is not there."""
    text = report.output_of("riscv64-unknown-elf-nm", path)
    if text is None:
        raise Refusal(f"{path} is not built yet: use make walk, which builds it.")
    rows = [words for words in map(str.split, text.splitlines()) if len(words) == 3]
    found = {name: [int(address, 16) for address, _, other in rows if other == name] for name in names}
    for name, places in found.items():
        if len(places) != 1:
            raise Refusal(f"{path} has {len(places) or 'no'} functions {name} of their own: "
                          "scripts/runner/walk_steps.py names one, so correct the name there.")
    return {name: places[0] for name, places in found.items()}


def choose_events(patch):
    """EVENT alone, with the one that it goes on from; or all."""
    events, wanted = walk_steps.EVENTS, os.environ.get("EVENT")
    if not wanted:
        return [name for name, event in events.items() if patch != "off" or not event.patched_only]
    if wanted not in events:
        raise Refusal(f"EVENT={wanted} is not known: use {', '.join(events)}.")
    if patch == "off" and events[wanted].patched_only:
        raise Refusal(f"EVENT={wanted} does not go with PATCH=off, where nothing is patched: "
                      "leave one of them out.")
    at = list(events).index(wanted)
    return list(events)[at - (events[wanted].start is None):at + 1]


def read_options():
    for name in os.environ.get("GIVEN", "").split():
        if name in FIXED and os.environ.get(name) != FIXED[name]:
            raise Refusal("make walk shows an emulated UART and a virtio disk of our own guest: "
                          f"leave {name} out.")
    os.environ.update(FIXED)
    if not shutil.which("gdb-multiarch"):
        raise Refusal("gdb-multiarch is missing: scripts/setup check installs or names it.")
    options = front_door.parse(os.environ)
    return options, choose_events(options.patch)


def pairs(symbols, base=0):
    return ",".join(f"{name}={base + address:#x}" for name, address in symbols.items())


def walk(options, events):
    base = machine.vmm_address(options)
    starts = [event.start for event in walk_steps.EVENTS.values() if event.start]
    environment = {
        **os.environ, "TRIDENT_BASE": hex(base), "TRIDENT_EVENTS": ",".join(events),
        "TRIDENT_PATCH": options.patch,
        "TRIDENT_STEPS": pairs(find_symbols(machine.TRIDENT_ELF, walk_steps.STEPS), base),
        "TRIDENT_STARTS": pairs(find_symbols(options.kernel, starts)),
    }
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        options.disk_img, options.disk_kept = f"{folder}/disk.img", False
        disk.create(options)
        run = session.Session(options, folder)
        try:
            run.start(debug=True)
            environment.update(TRIDENT_GDB=f"{folder}/gdb", TRIDENT_REPORT=f"{folder}/report")
            command = ["gdb-multiarch", "-q", "-nx", "-batch", "-x", "scripts/gdb_walk.py",
                       options.kernel]
            gdb = subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                                 capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Refusal(f"the walk had not come to its end after {SECONDS} s.") from None
        finally:
            run.finish()
        with open(f"{folder}/report", encoding="utf-8") as file:
            text, done, _ = file.read().partition("walk: done")
    print(text, end="")
    if not done:
        print(gdb.stderr[-2000:], file=sys.stderr)
        raise Refusal("gdb did not come to the walk's end; its own message is above.")

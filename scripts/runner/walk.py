"""`make walk`: the runs, and the gdb that stops them at the VMM's functions (scripts/gdb_walk.py)."""

import json
import os
import shutil
import subprocess
import tempfile

from . import disk, machine, options as front_door, report, session, walk_page, walk_steps, walk_text
from .options import Refusal

FIXED = ("DEVICE", "UART", "DISK", "DISK_MODEL", "GUEST", "RUN")
DEFAULT_PATCH = "off"  # the level at which all of the textbook's steps are there
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


def choose_events():
    """EVENT alone, or all."""
    wanted = os.environ.get("EVENT")
    if wanted and wanted not in walk_steps.EVENTS:
        raise Refusal(f"EVENT={wanted} is not known: use {', '.join(walk_steps.EVENTS)}.")
    return [wanted] if wanted else list(walk_steps.EVENTS)


def read_options():
    """The options of each run that is needed, its events with them; and where the page goes, if anywhere."""
    for name in os.environ.get("GIVEN", "").split():
        if name in FIXED:
            raise Refusal("make walk shows our own guest on machines of its own choice, of which EVENT takes one: "
                          f"leave {name} out.")
    if not shutil.which("gdb-multiarch"):
        raise Refusal("gdb-multiarch is missing: scripts/setup check installs or names it.")
    page = os.environ.get("HTML") or None
    front_door.check_writable("HTML", page)
    events = choose_events()
    runs = []
    for name, fixed in walk_steps.MACHINES.items():
        mine = [event for event in events if walk_steps.EVENTS[event].machine == name]
        if not mine:
            continue
        options = front_door.parse({**os.environ, "PATCH": os.environ.get("PATCH") or DEFAULT_PATCH,
                                    "DEVICE": "virtio", "GUEST": "trident", **fixed})
        options.disk_latency, options.icount = walk_steps.LATENCY_NS, True
        options.times = True  # each exit goes the long way, which is the one that is shown
        runs.append((options, mine))
    return runs, page


def pairs(symbols, base=0):
    return ",".join(f"{name}={base + address:#x}" for name, address in symbols.items())


def guest_names(events):
    """The guest's functions at which the search begins and ends."""
    found = (walk_steps.EVENTS[event] for event in events)
    return list(dict.fromkeys(name for event in found for name in (event.after, event.start, event.end)
                              if name))


def carry_out(options, events):
    """[what was seen of each event]"""
    base = machine.vmm_address(options)
    steps = walk_steps.step_names(options.patch)
    environment = {
        **os.environ, "PYTHONPATH": os.getcwd(), "TRIDENT_BASE": hex(base), "TRIDENT_EVENTS": ",".join(events),
        "TRIDENT_PATCH": options.patch,
        "TRIDENT_STEPS": pairs(find_symbols(machine.TRIDENT_ELF, steps), base),
        "TRIDENT_STARTS": pairs(find_symbols(options.kernel, guest_names(events))),
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
            rows = [json.loads(line) for line in file]
    if not rows or not rows[-1].get("done"):
        raise Refusal(f"{gdb.stderr[-2000:]}\ngdb did not come to the walk's end; its own message is above.")
    return rows[:-1]


def walk(runs, page):
    patch = runs[0][0].patch
    print(walk_text.wrapped(f"PATCH={patch}: {walk_steps.LEVELS[patch]}") + "\n", flush=True)
    seen = {}
    for options, events in runs:
        for row in carry_out(options, events):
            seen[row["event"]] = row
            print(walk_text.event_text(row, patch), flush=True)
    if page:
        walk_page.write(page, patch, seen.values())
        print(f"walk: {page} has the same as a page: open it in a browser, and step with the arrow keys")

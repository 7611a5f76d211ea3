"""Bare guests (tests/guests): what each shows must be right natively, which says that the question is, and
under the VMM.

A guest checks itself: it prints a line FAIL for what is wrong, and ends with a status. One that is not meant to
end has a status of 124 and sentences to look for. Instructions are counted in each run under the VMM, so that each
says too that no exit was long (docs/devices.md); what depends on how devices and the guest run side by side has a
run in real time besides.
"""

import json
import re
from dataclasses import dataclass, field

import pytest

from . import front_door

STRATEGIES = ("emulated", "virtio", "passthrough")
PATCHES = ("off", "ecall", "cluster", "inline")
LONGEST = 1_000_000  # instructions of one exit


@dataclass
class Guest:
    name: str                   # tests/guests/NAME.c, or NAME-CASE
    runs: list                  # options of each run
    status: int = 0
    expect: list = field(default_factory=list)  # patterns that the output must have, in this order
    seconds: float = 60
    counted: bool = True        # instructions are counted in the runs under the VMM
    real_time: bool = False     # the runs take place in real time, too


NATIVE = [{"DEVICE": "native"}]
EVERY_LEVEL = [{"DEVICE": "virtio", "PATCH": patch} for patch in PATCHES]
COUNTED = {"ICOUNT": "1", "MEM": "64M"}  # costs are asserted
EVERY_STRATEGY = [{"DEVICE": device} for device in STRATEGIES]
PATCHED = PATCHES[1:]

# What slots.c says of the windows besides the transports: QEMU's board, and core/board/windows.c.
WINDOWS = {"0x00001000": "answers", "0x00100000": "answers", "0x00101000": "answers", "0x02000000": "nothing",
           "0x03000000": "answers", "0x04000000": "nothing", "0x0c000000": "answers", "0x10100000": "answers",
           "0x20000000": "answers", "0x22000000": "answers", "0x30000000": "answers", "0x40000000": "answers"}
KEPT = ("0x00100000", "0x00101000", "0x0c000000")  # finisher, RTC, PLIC
NATIVE_WINDOWS = [f"^{base}: {what}$" for base, what in WINDOWS.items()]
GUEST_WINDOWS = [f"^{base}: {'answers' if base in KEPT else 'nothing'}$" for base in WINDOWS]

WATCHED = [{"DEVICE": "passthrough", **more} for more in (
    {}, {"WATCH": "1"}, {"WATCH": "1", "PATCH": "off"}, {"PLIC": "mapped"}, {"PLIC": "mapped", "WATCH": "1"})]


def answers(name, *ranges):
    """What refused.c prints of a window that has (first offset, answers) ranges for each width."""
    return [rf"^{name} {access} of {width}:" + "".join(
                f" from {first} {'done' if width in widths else f'cause {cause}'}" for first, widths in ranges) + "$"
            for width in (1, 2, 4, 8) for access, cause in (("load", 5), ("store", 7))]


UARTS = NATIVE + WATCHED + [{"UART": "emulated", "DISK": "virtio", "PATCH": patch} for patch in PATCHES]

EAGER = [{"DEVICE": "virtio", "PATCH": "inline", "EAGER": "1"}]  # each place inlined at once

GUESTS = [
    Guest("faults", [{**options, "TIMEOUT": "4"} for options in EVERY_LEVEL], status=124,
          expect=[r"^trident: the guest had not ended after 4 s", r"^trident: the guest was in vS at 0x0$",
                  r"^trident: its last fault: fetch access fault \(cause 1\), sepc 0x0, stval 0x0, stvec 0x0, "
                  r"[1-9]\d{0,2}('\d{3})+ times in a row$",
                  r"^trident: the fault before it: breakpoint \(cause 3\), sepc 0x802\w+, stval 0x\w+, stvec 0x0, once$"]),
    Guest("machine-1", [{**options, "TIMEOUT": "4"} for options in EVERY_LEVEL], status=124,
          expect=[r"^trident: its last fault: fetch access fault \(cause 1\), sepc 0x0, ",
                  r"^trident: the fault before it: illegal instruction \(cause 2\), sepc 0x802\w+, stval 0x305\w+, ",
                  r"^trident: the instruction 0x305\w+ at 0x802\w+ is one of machine mode, and a guest in machine mode is "
                  r"not supported$"]),
    Guest("found", NATIVE + EVERY_LEVEL + EVERY_STRATEGY, real_time=True),
    Guest("masks", NATIVE + EVERY_LEVEL + EVERY_STRATEGY),
    Guest("suspend", NATIVE + EVERY_LEVEL + EVERY_STRATEGY),
    # Not natively: the firmware writes all of the 64 MiB that it is asked to.
    Guest("costly", EVERY_STRATEGY),
    # Not at PATCH=off where the guest owns the machine's UART: firmware that writes to it at each trap (OpenSBI from 1.6
    # on) empties it each time, and that is an interrupt.
    Guest("claims", [options for options in UARTS if (options.get("UART"), options.get("PATCH")) != (None, "off")],
          expect=["^nothing done: claimed 1$", "^status read: claimed 1$", "^enabled again: claimed 1$",
                  "^once more while claimed: claimed 2$", "^one byte at each: sent 20$",
                  "^one byte at each: received 5 that were waiting, 5 that came meanwhile$"], real_time=True),
    Guest("refused", NATIVE + WATCHED + [{"DEVICE": "passthrough", "UART": "emulated"}],
          expect=[*answers("uart", ("0", (1, 2, 4, 8)), ("0x8", ())),
                  *answers("virtio", ("0", (1, 2, 4, 8)), ("0x200", ())), *answers("plic", ("0", (4,)))]),
    Guest("slots", NATIVE, expect=["^slot 0: device 2$", "^slot 1: device 0$", *NATIVE_WINDOWS]),
    Guest("slots", [{"DEVICE": "virtio"}], expect=["^slot 0: device 2$", "^slot 1: device 3$", *GUEST_WINDOWS]),
    Guest("slots", [{"DEVICE": "emulated"}, {"DEVICE": "emulated", "DISK_MODEL": "ata"}],
          expect=["^slot 0: device 0$", "^slot 1: device 0$", *GUEST_WINDOWS]),
    Guest("slots", [{"DEVICE": "passthrough"}, {"DEVICE": "passthrough", "PLIC": "mapped"}],
          expect=["^slot 0: device 2$", "^slot 1: device 0$", *GUEST_WINDOWS]),
    Guest("lax", [*NATIVE, {"DISK": "virtio", "UART": "emulated"}, {"DEVICE": "passthrough"}, *EVERY_LEVEL],
          expect=["^BARRIER: done$"]),
    Guest("dma", [*NATIVE, *({"DEVICE": "virtio", "PATCH": patch} for patch in PATCHED)],
          expect=[r"^device reset: [1-9]\d* of"], counted=False, real_time=True),
    Guest("dma", [{"DEVICE": "virtio"}]),
    Guest("dma-2", [{"DEVICE": "emulated", "PATCH": patch} for patch in PATCHED],
          expect=[r"^list stopped: [1-9]\d* of"], real_time=True),
    Guest("trapped", NATIVE + EVERY_LEVEL + EAGER),
    Guest("stale", NATIVE + EVERY_LEVEL + EAGER),
    Guest("overlap", NATIVE + EVERY_LEVEL + EAGER),
    Guest("floodconsole", [{"DEVICE": "virtio"}, {"DEVICE": "virtio", "PATCH": "off"}],
          expect=["^and this is all$"], seconds=90),
    Guest("flooddisk", [*NATIVE, {"DEVICE": "virtio"}, {"DEVICE": "virtio", "ABLATE": "copy"}]),
    Guest("floodahci", [{"DEVICE": "emulated"}, {"DEVICE": "emulated", "ABLATE": "copy"}]),
    Guest("floodfence", [*NATIVE, *EVERY_LEVEL]),
    Guest("floodmarks", [*NATIVE, {"DEVICE": "virtio"}]),
    Guest("floodshadow", [{**options, "ICOUNT": "1"} for options in NATIVE + EVERY_LEVEL], seconds=120),
    Guest("fence", [{**options, **COUNTED} for options in NATIVE + EVERY_LEVEL], seconds=120),
]


def is_native(options):
    return options.get("DEVICE") == "native"


def runs():
    """(guest, options) of each run. One whose clock counts instructions has ICOUNT among them."""
    for guest in GUESTS:
        for options in guest.runs:
            if guest.counted and not is_native(options):
                yield guest, {**options, "ICOUNT": "1"}
            if is_native(options) or guest.real_time:
                yield guest, options


RUNS = list(runs())


def name(options):
    return "-".join(options.values()).replace(" ", "_")

# What differs from machine to machine, and must be here what it is natively: guest and the line that says it.
AS_NATIVELY = [("found", r"^scounteren keeps .*"), ("masks", r"^answer for absent harts: .*")]


@pytest.fixture(scope="session", autouse=True)
def built():
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output


@pytest.mark.parametrize("guest,options", RUNS, ids=[f"{guest.name}-{name(options)}" for guest, options in RUNS])
def test_guest(guest, options, tmp_path):
    options = {"GUEST": f"build/guests/{guest.name}.elf", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "50",
               **options}
    if not is_native(options):
        options["STATS"] = f"{tmp_path}/stats.json"
    status, output = front_door.make(options, guest.seconds)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == guest.status
    assert not re.search(r"^FAIL", output, re.MULTILINE)
    at = 0
    for pattern in guest.expect:
        match = re.compile(pattern, re.MULTILINE).search(output, at)
        assert match, f"there is no {pattern!r}"
        at = match.end()
    if "ICOUNT" in options and not is_native(options):
        assert_no_long_exit(options["STATS"])


def assert_no_long_exit(statistics):
    """Of a run whose instructions were counted."""
    with open(statistics, encoding="utf-8") as file:
        longest = json.load(file)["longest"]
    assert longest["instructions"] <= LONGEST, longest


@pytest.mark.parametrize("name,pattern", AS_NATIVELY, ids=[name for name, _ in AS_NATIVELY])
def test_as_natively(name, pattern, tmp_path):
    said = {}
    for device in ("native", *STRATEGIES):
        options = {"GUEST": f"build/guests/{name}.elf", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "50",
                   "DEVICE": device}
        _, output = front_door.make(options, 60)
        match = re.search(pattern, output, re.MULTILINE)
        said[device] = match and match[0]
    assert said["native"]
    assert set(said.values()) == {said["native"]}

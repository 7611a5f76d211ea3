"""Bare guests (tests/guests): what each shows must be right natively, which says that the question is, and
under the VMM.

A guest checks itself: it prints a line FAIL for what is wrong, and ends with a status. One that is not meant to
end has a status of 124 and sentences to look for.
"""

import re
from dataclasses import dataclass, field

import pytest

import front_door

STRATEGIES = ("emulated", "virtio", "passthrough")
PATCHES = ("off", "ecall", "cluster", "inline")


@dataclass
class Guest:
    name: str                   # tests/guests/NAME.c, or NAME-CASE
    runs: list                  # options of each run
    status: int = 0
    expect: list = field(default_factory=list)  # patterns that the output must have, in this order
    seconds: float = 60


NATIVE = [{"DEVICE": "native"}]
EVERY_LEVEL = [{"DEVICE": "virtio", "PATCH": patch} for patch in PATCHES]
EVERY_STRATEGY = [{"DEVICE": device} for device in STRATEGIES]
PATCHED = PATCHES[1:]

# What slots.c says of the windows besides the transports: QEMU's board, and core/board/windows.c.
WINDOWS = {"0x00001000": "answers", "0x00100000": "answers", "0x00101000": "answers", "0x02000000": "nothing",
           "0x03000000": "answers", "0x04000000": "nothing", "0x0c000000": "answers", "0x10100000": "answers",
           "0x20000000": "answers", "0x22000000": "answers", "0x30000000": "answers", "0x40000000": "answers"}
KEPT = ("0x00100000", "0x00101000", "0x0c000000")  # finisher, RTC, PLIC
NATIVE_WINDOWS = [f"^{base}: {what}$" for base, what in WINDOWS.items()]
GUEST_WINDOWS = [f"^{base}: {'answers' if base in KEPT else 'nothing'}$" for base in WINDOWS]

GUESTS = [
    Guest("faults", [{"DEVICE": "virtio", "TIMEOUT": "4"}], status=124,
          expect=["the guest had not ended after 4 s"]),
    Guest("slots", NATIVE, expect=["^slot 0: device 2$", "^slot 1: device 0$", *NATIVE_WINDOWS]),
    Guest("slots", [{"DEVICE": "virtio"}], expect=["^slot 0: device 2$", "^slot 1: device 3$", *GUEST_WINDOWS]),
    Guest("slots", [{"DEVICE": "emulated"}, {"DEVICE": "emulated", "DISK_MODEL": "ata"}],
          expect=["^slot 0: device 0$", "^slot 1: device 0$", *GUEST_WINDOWS]),
    Guest("slots", [{"DEVICE": "passthrough"}, {"DEVICE": "passthrough", "PLIC": "mapped"}],
          expect=["^slot 0: device 2$", "^slot 1: device 0$", *GUEST_WINDOWS]),
    Guest("lax", [*NATIVE, {"DISK": "virtio", "UART": "emulated"}, {"DEVICE": "passthrough"}, *EVERY_LEVEL],
          expect=["^BARRIER: done$"]),
    Guest("dma", [*NATIVE, *({"DEVICE": "virtio", "PATCH": patch} for patch in PATCHED)],
          expect=[r"^device reset: [1-9]\d* of"]),
    Guest("dma-2", [{"DEVICE": "emulated", "PATCH": patch} for patch in PATCHED],
          expect=[r"^list stopped: [1-9]\d* of"]),
]
RUNS = [(guest, options) for guest in GUESTS for options in guest.runs]


@pytest.fixture(scope="session", autouse=True)
def built():
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output


@pytest.mark.parametrize("guest,options", RUNS,
                         ids=[f"{guest.name}-{'-'.join(options.values())}" for guest, options in RUNS])
def test_guest(guest, options, tmp_path):
    options = {"GUEST": f"build/guests/{guest.name}.elf", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "50",
               **options}
    status, output = front_door.make(options, guest.seconds)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == guest.status
    assert not re.search(r"^FAIL", output, re.MULTILINE)
    at = 0
    for pattern in guest.expect:
        match = re.compile(pattern, re.MULTILINE).search(output, at)
        assert match, f"there is no {pattern!r}"
        at = match.end()

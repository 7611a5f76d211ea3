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
COUNTED = {"ICOUNT": "1", "MEM": "64M"}  # costs are asserted
EVERY_STRATEGY = [{"DEVICE": device} for device in STRATEGIES]

GUESTS = [
    Guest("faults", [{"DEVICE": "virtio", "TIMEOUT": "4"}], status=124,
          expect=["the guest had not ended after 4 s"]),
    Guest("floodshadow", [{**options, "ICOUNT": "1"} for options in NATIVE + EVERY_LEVEL], seconds=120),
    Guest("fence", [{**options, **COUNTED} for options in NATIVE + EVERY_LEVEL], seconds=120),
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

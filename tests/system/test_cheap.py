"""What a level of patching gains in one place must not be lost in another: instructions of a round of guests that fit
PATCH=inline badly (tests/guests/cheap.c), beside those of a lower level."""

import re

import pytest

from . import front_door
from .test_guests import built  # noqa: F401 (a fixture)

# guest: the level below inline whose cost is the limit
LIMITS = {"cheap": "cluster"}


def instructions(guest, patch, tmp_path):
    """Of a round, as the guest says."""
    options = {"GUEST": f"build/guests/{guest}.elf", "DEVICE": "virtio", "PATCH": patch, "ICOUNT": "1", "MEM": "64M",
               "TIMEOUT": "50", "DISK_IMG": f"{tmp_path}/disk.img"}
    status, output = front_door.make(options, 60)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    said = re.search(r"^a round takes ([0-9]+) instructions$", output, re.MULTILINE)
    assert status == 0 and said
    return int(said[1])


@pytest.mark.parametrize("guest,below", LIMITS.items(), ids=LIMITS)
def test_no_dearer(guest, below, tmp_path):
    inlined, limit = (instructions(guest, patch, tmp_path) for patch in ("inline", below))
    assert inlined <= limit

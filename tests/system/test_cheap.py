"""What a level of patching gains in one place must not be lost in another: instructions of a round of guests that fit
PATCH=inline badly (tests/guests/cheap.c), beside those of a lower level."""

import json
import re

import pytest

from . import front_door
from .test_guests import built  # noqa: F401 (a fixture)

# guest: the level below inline whose cost is the limit
LIMITS = {"cheap": "cluster", "cheap-2": "ecall", "cheap-3": "ecall"}


def run(guest, tmp_path, **more):
    options = {"GUEST": f"build/guests/{guest}.elf", "DEVICE": "virtio", "ICOUNT": "1", "MEM": "64M", "TIMEOUT": "50",
               "DISK_IMG": f"{tmp_path}/disk.img", **more}
    status, output = front_door.make(options, 60)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0 and "FAIL" not in output
    return output


def instructions(guest, patch, tmp_path):
    """Of a round, as the guest says."""
    output = run(guest, tmp_path, PATCH=patch)
    return int(re.search(r"^a round takes ([0-9]+) instructions$", output, re.MULTILINE)[1])


@pytest.mark.parametrize("guest,below", LIMITS.items(), ids=LIMITS)
def test_no_dearer(guest, below, tmp_path):
    inlined, limit = (instructions(guest, patch, tmp_path) for patch in ("inline", below))
    assert inlined <= limit


def test_brief_exits_are_counted(tmp_path):
    """With TIMES=1 all exits are timed. Without, as many are counted, and the table says of which there is no time."""
    seen, shares = [], []
    for times in ("1", "0"):
        output = run("cheap-3", tmp_path, STATS=f"{tmp_path}/s.json", TIMES=times)
        shares.append(re.search(r"^syscall .* (\S+|\S+ %)$", output, re.MULTILINE)[1])
        with open(tmp_path / "s.json", encoding="utf-8") as file:
            exits = json.load(file)["exits"]
        seen.append({name: [sum(row[key] for row in exits if row["class"] == name) for key in ("count", "timed")]
                     for name in ("syscall", "sret")})
    timed, brief = seen
    assert all(count == some > 1000 for count, some in timed.values()), timed
    assert all(count == timed[name][0] and some < count / 2 for name, (count, some) in brief.items()), brief
    assert shares[0].endswith("%") and shares[1] == "-", shares

"""Linux rewrites its own code, and does so under the VMM as natively.

One boot per patch level runs tests/selfmod/selfmod.sh: static keys, trace events, the function tracer,
kprobes, modules and eBPF (alternatives were applied while it booted). Its lines must be the same as
natively. PATCHES=off,ecall says which levels; without it, the default one.
"""

import os
import re

import pytest

from . import front_door

LEVELS = os.environ.get("PATCHES", "default").split(",")
LINUX = {"GUEST": "build/linux/Image", "INITRD": "build/selfmod/initramfs.cpio",
         "RUN": "selfmod-all 2; poweroff -f"}
SECONDS = 400


def selfmod(options, tmp_path):
    """What selfmod-all printed."""
    options = {**LINUX, **options, "DISK_IMG": f"{tmp_path}/disk.img"}
    status, output = front_door.make(options, SECONDS)
    print(f"{output[-6000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0
    assert not re.search(r"Oops|Call Trace|panic", output)
    printed = re.search(r"^# selfmod-all.*?\n(.*?)^# poweroff", output, re.MULTILINE | re.DOTALL)
    assert printed, "selfmod-all did not end"
    return printed[1].splitlines()


@pytest.fixture(scope="session")
def native_selfmod(tmp_path_factory):
    status, output = front_door.run(["guest-selfmod"])
    assert status == 0, output
    return selfmod({"DEVICE": "native"}, tmp_path_factory.mktemp("selfmod"))


@pytest.mark.parametrize("level", LEVELS)
def test_selfmod_as_native(level, native_selfmod, tmp_path):
    assert native_selfmod[-1] == "selfmod: ok" and len(native_selfmod) > 20
    options = {"DEVICE": "virtio"}
    if level != "default":
        options["PATCH"] = level
    assert selfmod(options, tmp_path) == native_selfmod

"""The Debian releases that the README promises and this machine is not: their QEMU and their OpenSBI, run with
their own libraries from a folder that their packages were unpacked into (tests/hosts/fetch).

In short what the whole of `make check` says on such a machine: the selftest natively and under the VMM, random
programs, and Linux. What the releases do differently is in docs/testing.md.
"""

import os
import re
import shutil
import subprocess

import pytest

from scripts.runner import firmware
from . import front_door, test_rows

RELEASES = ("bookworm", "trixie")


def own_release():
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.MULTILINE)
    return found and found[1]


OTHERS = [release for release in RELEASES if release != own_release()]


@pytest.fixture(scope="module", params=OTHERS)
def host(request):
    """Versions of the other release's packages, whose QEMU is the one that is found."""
    folder = f"build/hosts/{request.param}"
    status, output = front_door.run(["-s", f"{folder}/versions"], 300)
    assert status == 0, output
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{os.path.abspath(front_door.TOP)}/{folder}/bin:{before}"
    with open(f"{front_door.TOP}/{folder}/versions", encoding="utf-8") as file:
        yield dict(line.split() for line in file)
    os.environ["PATH"] = before


def test_is_the_other_release(host, tmp_path):
    """The runs below are of the QEMU and the firmware that were fetched."""
    assert "/hosts/" in shutil.which("qemu-system-riscv64")
    said = subprocess.run(["qemu-system-riscv64", "--version"], capture_output=True, text=True, check=True).stdout
    assert f"(Debian {host['qemu-system-riscv']})" in said
    status, output = front_door.make({"DEVICE": "native", "RUN": "true", "DISK_IMG": f"{tmp_path}/disk.img"})
    said = re.search(r"^OpenSBI v(\S+)", output, re.MULTILINE)  # without the third number
    assert host["opensbi"].startswith(said[1])


def test_selftest_as_native(host, tmp_path):
    native = test_rows.selftest({"DEVICE": "native"}, tmp_path)
    for options in ({"DEVICE": "virtio"}, {"DEVICE": "passthrough", "PATCH": "off"}):
        assert test_rows.selftest(options, tmp_path) == native


def test_diff(host):
    status, output = front_door.run(["-s", "diff", "N=60", "SEED=3"], 100)
    assert status == 0 and re.search(r"^60 passed, 0 failed", output, re.MULTILINE), output[-3000:]


def test_firmware_does_not_talk_in_between(host, tmp_path):
    """OpenSBI from 1.6 on writes to the UART at each sret of the guest's kernel. Where the UART is the VMM's it does not
    come out; where it is the guest's it does, which shows that there is something to keep in."""
    talks = [int(number) for number in re.findall(r"\d+", host["opensbi"])[:2]] >= [1, 6]
    for device in ("emulated", "virtio", "passthrough"):
        words = front_door.words({"DEVICE": device, "PATCH": "off", "RUN": "mem", "DISK_IMG": f"{tmp_path}/disk.img"})
        status, output = front_door.run([*words, "qemu"], whole=True)
        assert status == 0
        assert (firmware.TALK in output) == (talks and device == "passthrough")


@pytest.mark.parametrize("options", [{"DEVICE": "virtio"}, {"DEVICE": "emulated", "PATCH": "off"}],
                         ids=lambda options: "-".join(options.values()))
def test_linux(host, options, tmp_path):
    options = {"GUEST": "linux", "RUN": "uname -m; ls /sys/block; poweroff -f", "DISK_IMG": f"{tmp_path}/disk.img",
               **options}
    status, output = front_door.make(options, 120)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0
    assert re.search(r"^riscv64\n.*^(vda|sda)", output, re.MULTILINE | re.DOTALL)

"""docs/add-a-device.md, taken at its word: what is on the page is built in a copy, and runs in every way."""

import os
import re
import shutil
import subprocess

import pytest

from . import front_door

COPIED = ("Makefile", "bench", "core", "devices", "guest-drivers", "guests", "scripts", "tests")


def page():
    with open(f"{front_door.TOP}/docs/add-a-device.md", encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The project with the device in it, and its guest."""
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output
    top = str(tmp_path_factory.mktemp("device"))
    for name in COPIED:
        source = f"{front_door.TOP}/{name}"
        if os.path.isdir(source):
            shutil.copytree(source, f"{top}/{name}", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, top)
    shutil.copytree(f"{front_door.TOP}/build/libfdt", f"{top}/build/libfdt")
    shutil.copy(f"{front_door.TOP}/build/.setup-run", f"{top}/build")
    for path, text in re.findall(r"^`([\w/.]+)`:\n\n```c\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL):
        with open(f"{top}/{path}", "x", encoding="utf-8") as file:
            file.write(text)
    diffs = "".join(re.findall(r"^```diff\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL))
    done = subprocess.run(["git", "apply", "-"], cwd=top, input=diffs, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = make(top, "-s", "trident", "build/guests/entropy.elf", seconds=300)
    assert built.returncode == 0, built.stdout + built.stderr
    return top


def make(top, *words, seconds=120):
    return subprocess.run([*front_door.MAKE, *words], cwd=top, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=seconds, check=False)


COMMANDS = re.findall(r"^make (QEMU='(.*)' GUEST=\S+ DEVICE=(\w+) qemu)$", page(), re.MULTILINE)


@pytest.mark.parametrize("device", [device for _, _, device in COMMANDS])
def test_device(tree, device):
    qemu, = (qemu for _, qemu, way in COMMANDS if way == device)
    done = make(tree, f"QEMU={qemu}", "GUEST=build/guests/entropy.elf", f"DEVICE={device}", "TIMEOUT=60", "qemu")
    assert done.returncode == 0 and "\nentropy: 0 failed" in done.stdout.replace("\r", ""), done.stdout + done.stderr
    row = re.search(r"^entropy: .*", done.stderr, re.MULTILINE)
    if device == "native":
        assert not row
        return
    loads, stores, *_, moved = map(int, row[0].split()[2:])
    label = " ".join(row[0].split()[:2])
    shown = re.search(rf"^{re.escape(label)} .*", page(), re.MULTILINE)[0]
    assert moved == int(shown.split()[-1])
    assert {"emulated": loads >= 80, "virtio": 0 < loads + stores < 40, "passthrough": loads + stores == 0}[device]


def test_every_way_is_run():
    assert [device for _, _, device in COMMANDS] == ["native", "emulated", "virtio", "passthrough"]

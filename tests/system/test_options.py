"""What the front door makes of option values: names are names, text is text, and a disk has one run."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from . import front_door

MORE = ("BUILD", "CROSS", "COMPILER", "DEBIAN_SIZE", "SETUP", "PEER", "KVMTOOL")  # and not in OPTIONS


def option_names():
    with open(f"{front_door.TOP}/Makefile", encoding="utf-8") as file:
        words = re.search(r"^OPTIONS := ((?:.*\\\n)*.*)", file.read(), re.MULTILINE)[1]
    return [*words.replace("\\\n", " ").split(), *MORE]


@pytest.mark.parametrize("way", ("command line", "environment"))
@pytest.mark.parametrize("name", option_names())
def test_value_is_not_evaluated(name, way, tmp_path):
    """Neither by make nor by a shell: it is taken as it stands, or refused."""
    value = f"$(shell touch {tmp_path}/make)`touch {tmp_path}/shell`$$(touch {tmp_path}/shell)"
    words, environment = [f"{name}={value}"], dict(os.environ)
    if way == "environment":
        words, environment[name] = [], value
    done = subprocess.run([*front_door.MAKE, *words, "options"], cwd=front_door.TOP, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert not os.listdir(tmp_path), "the value was carried out"
    assert done.returncode == 0 or "trident: " in done.stderr, done.stderr
    if name in done.stderr and "shell" in done.stderr:
        assert value.split("`", 1)[0] in done.stderr, "the value is shown as it stands"


@pytest.mark.parametrize("target,words", (("diff", ("N", "SEED", "PATCH")), ("kill", ("N", "DEVICE")),
                                          ("compare", ("A", "B")), ("sweep", ("HOSTS",)),
                                          ("workload", ("W", "MIN", "QUICK", "OPS", "DEVICE")),
                                          ("attribute", ("OP", "DEVICE"))))
def test_recipe_has_the_value_as_a_word(target, words, tmp_path):
    """What the shell would carry out, and what would end a quoted word, is quoted."""
    value = f"x'$(touch {tmp_path}/made)'"
    quoted = "'" + value.replace("'", "'\\''") + "'"
    done = subprocess.run([*front_door.MAKE, "-n", *(f"{word}={value}" for word in words), target],
                          cwd=front_door.TOP, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count(quoted) >= len(words), done.stdout + done.stderr
    assert not os.listdir(tmp_path)


NAMES = ("rel:name", "json:{}", "nbd:localhost:10809", "a,b", "a b", "a'b\"c", "-x", "$(shell touch zz)", "a$b",
         "a=b;c", "ü#%s")


@pytest.mark.parametrize("more", ({"DEVICE": "native", "DISK_ERROR": "64+1"}, {"DEVICE": "virtio"}),
                         ids=lambda more: "-".join(more))
@pytest.mark.parametrize("name", NAMES)
def test_name_is_a_file_name(name, more):
    """No protocol or option of QEMU's, of another program or of make's. The files are in the project's folder,
    since a name that begins with a folder is none of these anyway."""
    status, output = front_door.run(["-s", "guest"])
    assert status == 0, output
    disk, kernel, initrd = (os.path.join(front_door.TOP, name + end) for end in (".img", ".elf", ".cpio"))
    try:
        shutil.copy(f"{front_door.TOP}/build/guest/trident-guest.elf", kernel)
        with open(initrd, "wb") as file:
            file.write(b"070701" * 100)
        status, output = front_door.make({"DISK_IMG": f"{name}.img", "GUEST": f"{name}.elf",
                                          "INITRD": f"{name}.cpio", "RUN": "disk write 0 8; disk verify 0 8",
                                          "TIMEOUT": "40", **more})
        print(output[-3000:])
        assert status == 0
        with open(disk, "rb") as file:
            assert any(file.read(4096)), "what the guest wrote is in that file"
    finally:
        for path in (disk, kernel, initrd):
            if os.path.exists(path):
                os.unlink(path)


def begin(options):
    """A run that has its disk and idles."""
    process = subprocess.Popen([*front_door.MAKE, *front_door.words(options), "RUN=sleep 100000", "qemu"],
                               cwd=front_door.TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    for line in process.stdout:
        if b"# sleep" in line:
            return process
    raise AssertionError("the first run did not begin")


@pytest.mark.parametrize("read_only", ("0", "1"))
def test_second_run_on_a_disk(read_only, tmp_path):
    """Is told at once who has the disk, and what to do; only readers share it. A killed run holds nothing."""
    options = {"DISK_IMG": f"{tmp_path}/disk.img", "DISK_RO": read_only, "MEM": "64M"}
    with open(options["DISK_IMG"], "wb") as file:
        file.truncate(1 << 20)
    first = begin(options)
    try:
        begun = time.monotonic()
        status, output = front_door.make({**options, "DISK_RO": "0", "DEVICE": "native", "RUN": "echo second"})
        assert status == 2 and time.monotonic() - begun < 2, output
        said = re.search(r"^trident: the disk image \S+/disk\.img is in use by process (\d+), make (.*) qemu: wait for "
                         r"its end, or give this run another disk, such as DISK_IMG=(\S+)\.$", output, re.MULTILINE)
        assert said, output
        with open(f"/proc/{said[1]}/cmdline", "rb") as file:
            assert b"scripts/run" in file.read()
        assert "MEM=64M" in said[2] and "'RUN=sleep 100000'" in said[2]
        assert said[3] == f"{tmp_path}/disk-2.img"
        if read_only == "1":
            status, output = front_door.make({**options, "RUN": "disk read 0 8"})
            assert status == 0, output
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    deadline = time.monotonic() + 10
    while (status := front_door.make({**options, "DISK_RO": "0", "RUN": "disk read 0 8"})[0]) != 0:
        assert time.monotonic() < deadline, "the killed run still has its disk"

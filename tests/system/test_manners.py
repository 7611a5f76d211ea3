"""What a run, and a measurement, puts on the screen: QUIET=1, a failure's reason, progress; and slips for an option."""

import os
import re
import subprocess

import pytest

from . import front_door, manifest

MARKS = (r"^OpenSBI v", r"^exit class ")  # of the firmware's banner and of the closing table


def test_kernel_of_the_page(tmp_path):
    """docs/own-guest.md: its 20 lines, its link line, and its two runs, by a shell, from a folder of their own."""
    with open(f"{front_door.TOP}/docs/own-guest.md", encoding="utf-8") as file:
        text = file.read().partition("## A kernel of 20 lines")[2]
    source, commands = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1] for kind in ("c", "sh"))
    assert source.count("\n") <= 25
    (tmp_path / "kernel.c").write_text(source)
    there = {"GUEST=kernel.elf": f"GUEST={tmp_path}/kernel.elf DISK_IMG={tmp_path}/disk.img TIMEOUT=60",
             "-o kernel.elf kernel.c": f"-Wall -Wextra -Werror -o {tmp_path}/kernel.elf {tmp_path}/kernel.c"}
    for word, place in there.items():
        assert word in commands
        commands = commands.replace(word, place)
    done = subprocess.run(["sh", "-e", "-c", commands], cwd=front_door.TOP, capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.replace("\r", "") == "hello from S-mode\n" * 2, "and nothing else, such as make's help"


def seen(output):
    return [bool(re.search(mark, output, re.MULTILINE)) for mark in MARKS]


@pytest.mark.parametrize("device", manifest.EVERY)
def test_quiet(device, tmp_path):
    """Neither banner nor table, and nothing else is lost; without it, both."""
    options = {"DEVICE": device, "RUN": "echo said", "DISK_IMG": f"{tmp_path}/disk.img"}
    status, loud = front_door.make(options)
    assert status == 0 and seen(loud) == [True, device != "native"], loud
    status, quiet = front_door.make({**options, "QUIET": "1"})
    assert status == 0 and seen(quiet) == [False, False], quiet
    lines = quiet.strip("\n").split("\n")
    assert lines[0] == "Trident guest kernel" and "said" in lines
    assert loud[loud.index(lines[0]):].startswith("\n".join(lines[:3]))


def test_quiet_refused():
    status, output = front_door.run(["QUIET=loud", "qemu"])
    assert status == 2 and "QUIET=loud is not known" in output


@pytest.mark.parametrize("options,reasons", (
    ({"RUN": "no-such-command a; echo next"}, ["'no-such-command a' ended with status 1", "the run ended with status 1"]),
    ({"RUN": "poweroff 7"}, ["the run ended with status 7"]),
    ({"RUN": "sleep 100000", "TIMEOUT": "3"}, ["the guest had not ended after 3 s", "the guest was in v"]),
    ({"GUEST": "linux", "RUN": "false; (exit 5); true"},
     ["'false' ended with status 1", "'(exit 5)' ended with status 5", "a command of RUN failed"]),
), ids=("command", "status", "timeout", "linux"))
def test_reason_is_last(options, reasons, tmp_path):
    """After the table; of make's own line, nothing can be said."""
    status, output = front_door.make({**options, "DISK_IMG": f"{tmp_path}/disk.img"}, 180)
    assert status not in (0, None), output
    *_, rest = output.partition("\nexit class ")
    said = [line.removeprefix("trident: ") for line in rest.split("\n") if line.startswith("trident: ")]
    assert len(said) >= len(reasons), output
    for line, reason in zip(said, reasons):
        assert line.startswith(reason), output
    after = rest[rest.rindex("\ntrident: "):].strip("\n").split("\n")[1:]
    assert len(after) == 1 and after[0].startswith("make"), output


@pytest.mark.parametrize("word,near", (("PATH=off", "PATCH=off"), ("SHELL=none", "SHADOW=none"),
                                       ("PATH=$(shell touch made)", "PATCH=$(shell touch made)")))
def test_slip_for_the_shells_variable(word, near, tmp_path):
    """Would take the recipes' programs away: said before any is run, and the value is not evaluated."""
    done = subprocess.run([*front_door.MAKE, word, "qemu"], cwd=front_door.TOP, capture_output=True, text=True,
                          env={**os.environ, "TMPDIR": str(tmp_path)}, timeout=30, check=False)
    name = word.partition("=")[0]
    assert done.returncode == 2 and f"trident: there is no option {name}: did you mean {near}?" in done.stderr
    assert done.stdout == "" and not os.path.exists(f"{front_door.TOP}/made")


def test_path_of_the_environment():
    """Is the shell's, and no slip."""
    done = subprocess.run([*front_door.MAKE, "help"], cwd=front_door.TOP, capture_output=True, text=True,
                          env={**os.environ, "PATH": "/usr/bin:/bin"}, timeout=30, check=False)
    assert done.returncode == 0 and done.stdout.startswith("Trident: ")


@pytest.mark.parametrize("words,sentence", (([], "name a file of hosts"), (["HOSTS=/nowhere"], "HOSTS=/nowhere cannot be read")))
def test_sweep_refuses_before_it_builds(words, sentence, tmp_path):
    status, output = front_door.run([*words, f"BUILD={tmp_path}/build", "sweep"])
    assert status == 2 and sentence in output, output
    assert not os.path.exists(f"{tmp_path}/build"), "something was built"


def test_progress(tmp_path):
    """A line for each boot with the time left, and not the guest's console; of one that failed it is in a file."""
    status, output = front_door.run(["DEVICE=virtio", "OPS=null_syscall", "nano"], 300)
    assert status == 0, output
    lines = [line for line in output.split("\n") if line.startswith("[")]
    assert [re.sub(r"\] \d+ (s|min) left", "]", line) for line in lines] == [
        "[1/2]  virtio, time", "[2/2]  virtio, instructions and traps"]
    assert seen(output) == [False, False] and "trident-linux" not in output
    status, output = front_door.run(["DEVICE=native", "OPS=nonsense", "nano"], 300)
    assert status == 1 and "trident-linux" not in output
    with open(f"{front_door.TOP}/{re.search(r'its console is in (.*)', output)[1]}", encoding="utf-8") as file:
        assert "trident-linux" in file.read()

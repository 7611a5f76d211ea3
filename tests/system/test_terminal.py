"""The terminal is the guest's console: prompt, Ctrl-C, Ctrl-A X; and the control channel beside it."""

import json
import os
import random
import re
import signal
import subprocess
import time

import pexpect
import pytest

from scripts.runner import control as runner_control, session
from . import front_door, manifest

PROMPT = "trident> "


@pytest.fixture
def start(tmp_path):
    """Starts an interactive run; ends it if a test left it behind."""
    started = []

    def begin(prompt=PROMPT, seconds=30, **options):
        options.setdefault("DISK_IMG", f"{tmp_path}/disk.img")
        child = pexpect.spawn(front_door.MAKE[0], [*front_door.MAKE[1:], *front_door.words(options), "qemu"],
                              cwd=front_door.TOP, timeout=seconds, encoding="latin1", dimensions=(33, 101))
        started.append(child)
        print("The same again: " + front_door.shown(options))
        child.expect_exact(prompt)
        return child

    yield begin
    for child in started:
        if child.isalive():
            child.send("\x01x")
            child.expect(pexpect.EOF)
        child.close()


@pytest.mark.parametrize("device", manifest.EVERY)
def test_console(start, device):
    child = start(DEVICE=device)
    child.send("sleep 100000\r")
    time.sleep(0.5)
    child.send("\x03")
    child.expect_exact(PROMPT)
    child.send("echo by hand\r")
    child.expect("\nby hand\r")
    child.send("\x01c")  # QEMU's own keys are still there
    child.expect_exact("(qemu) ")
    child.send("\x01c\x01x")
    child.expect(pexpect.EOF)
    output = child.before.replace("\r", "")
    assert ("\nexit class " in output) == (device != "native")
    assert "make" not in output and "trident: " not in output
    child.close()
    assert child.exitstatus == 0, "its user has ended it on purpose"


def test_quit_by_the_monitor(start):
    child = start(DEVICE="virtio")
    child.send("\x01c")
    child.expect_exact("(qemu) ")
    child.send("quit\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def newest_run():
    """The process of the runner."""
    path = runner_control.live_runs(f"{front_door.TOP}/{session.RUN_FOLDER}")[0]
    return int(os.path.basename(path).removesuffix(".ctl"))


ENDS = {"keys": lambda child: child.send("\x01x"), "poweroff": lambda child: child.send("poweroff\r"),
        "signal": lambda child: os.kill(newest_run(), signal.SIGTERM),
        "monitor": lambda child: child.send("\x01cquit\r")}


@pytest.mark.parametrize("end", ENDS)
def test_terminal_is_restored(end, tmp_path):
    """Whatever ends the run: the shell has its terminal back as it was."""
    words = " ".join(front_door.words({"DEVICE": "virtio", "DISK_IMG": f"{tmp_path}/disk.img"}))
    child = pexpect.spawn("sh", ["-c", f"echo [$(stty -g)]; scripts/run; echo; echo [$(stty -g)]"], cwd=front_door.TOP,
                          env={**os.environ, **dict(word.split("=") for word in words.split())}, timeout=30,
                          encoding="latin1")
    child.expect(r"\[(.*)\]\r")
    before = child.match[1]
    child.expect_exact(PROMPT)
    ENDS[end](child)
    child.expect(r"\n\[([0-9a-f:]*)\]\r")
    assert child.match[1] == before
    child.expect(pexpect.EOF)
    child.close()


@pytest.mark.parametrize("kind", ("pipe", "file"))
def test_console_that_is_no_terminal(kind, tmp_path):
    """What is typed may come from elsewhere: it reaches the guest, whose end is the run's. (What comes before the
    guest's driver, the machine's UART may drop.)"""
    text = b"\r\r\recho first\r" + b"#" * 100 + b"\recho last\rpoweroff\r"
    path = tmp_path / "typed"
    path.write_bytes(text)
    with open(path, "rb") as file:
        given = {"stdin": file} if kind == "file" else {"input": text}
        done = subprocess.run([*front_door.MAKE, f"DISK_IMG={tmp_path}/disk.img", "TIMEOUT=30", "qemu"], cwd=front_door.TOP,
                              capture_output=True, timeout=60, check=False, **given)
    output = done.stdout.decode().replace("\r", "")
    assert done.returncode == 0 and "\nfirst\n" in output and "\nlast\n" in output, output


LINUX_PROMPT = {"initramfs": "~ # ", "debian": "# "}


@pytest.mark.parametrize("root,device", [("initramfs", device) for device in manifest.EVERY] +
                         [("debian", "native"), ("debian", "virtio")])
def test_linux_prompt(start, root, device):
    """The terminal's size, Ctrl-C, reboot (the guest comes up again) and poweroff (the run's good end)."""
    prompt = LINUX_PROMPT[root]
    child = start(GUEST="linux", ROOT=root, DEVICE=device, prompt=prompt, seconds=120,
                  **({"DISK_IMG": ""} if root == "debian" else {}))
    child.send("stty size\r")
    child.expect("33 101\r")
    child.expect_exact(prompt)
    child.send("sleep 1000\r")
    time.sleep(1)
    child.send("\x03")
    child.expect_exact(prompt)
    child.send("reboot\r")
    child.expect("trident-linux: ")
    child.expect_exact(prompt)
    child.send("poweroff\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


UP, DOWN, RIGHT, LEFT, HOME, DELETE = ("\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[3~")


def test_line_editor(start):
    """A line is edited in its middle, and the lines before it come back."""
    child = start(DEVICE="virtio")
    for keys, said in ((f"eco first{LEFT * 7}h", "first"),
                       (f"Xecho second!{LEFT}{DELETE}{HOME}{DELETE}", "second"),
                       (UP + UP, "first"), (f"echo draft{UP}{DOWN}ed", "drafted"),
                       ("no\x15echo third", "third"), ("\x1b[99;5~\x1bOA", "third")):
        child.send(keys + "\r")
        child.expect(rf"\n{said}\w*\r", timeout=10)
        child.expect_exact(PROMPT)
    child.send("poweroff\r")
    child.expect(pexpect.EOF)


def type_slowly(child, text):
    for character in text:
        child.send(character)
        time.sleep(0.02)


@pytest.mark.parametrize("options", [{"DEVICE": device} for device in manifest.EVERY] +
                         [{"DEVICE": "emulated", "PATCH": "off"}, {"DEVICE": "passthrough", "PLIC": "mapped"}],
                         ids=lambda options: "-".join(options.values()))
def test_input_has_one_owner(start, options):
    """What is typed comes once and in order, read in turn by SBI's calls and by the UART's driver (typed.c)."""
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output
    child = start(GUEST="build/guests/typed.elf", prompt="ready\r", **options)
    letters = random.Random(7)
    for length, send in ((1, child.send), (40, lambda text: type_slowly(child, text)), (60, child.send),
                         (2, child.send), (150, child.send), (150, child.send), (30, lambda text: type_slowly(child, text)),
                         (7, child.send)):
        text = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))
        send(text + "\r")
        child.expect(r"line \[(.*)\] by \[([dgu]*)\]\r")
        assert child.match[1] == text
        assert length < 7 or set("dgu") <= set(child.match[2])
    child.send("end\r")
    child.expect(r"line \[end\]")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("device", manifest.EVERY)
def test_terminal_that_does_not_read(start, device):
    """Output that finds no room keeps the guest waiting and not the VMM, and all of it arrives (lines.c)."""
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output
    child = start(GUEST="build/guests/lines.elf", prompt="line 00000", DEVICE=device)
    time.sleep(2)
    if device != "native":  # it could not write all, or this would be over
        assert control("where")["pc"].startswith("0x")
    child.expect_exact("line 04199")
    seen = re.findall(r"line (\d{5}) by", "line 00000" + child.before + "line 04199 by")
    assert [int(number) for number in seen] == list(range(4200))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_poweroff_by_hand(start):
    child = start(DEVICE="virtio")
    child.send("poweroff\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def control(command):
    done = subprocess.run(["scripts/stats", command], cwd=front_door.TOP, capture_output=True,
                          text=True, timeout=30, check=False)
    return json.loads(done.stdout or "null")


def test_control_channel(start):
    child = start(DEVICE="virtio")
    before = control("stats")["statistics"]
    child.send("echo one\r")
    child.expect("\none\r")
    after = control("stats")["statistics"]
    assert after["devices"]["uart"]["bytes"] > before["devices"]["uart"]["bytes"]
    assert control("where")["pc"].startswith("0x")
    assert control("pause")["reply"] == "pause"
    child.send("echo two\r")
    assert child.expect(["\ntwo\r", pexpect.TIMEOUT], timeout=1) == 1, "a paused guest went on"
    assert control("resume")["reply"] == "resume"
    child.expect("\ntwo\r")
    assert control("reset")["reply"] == "reset"
    assert sum(row["count"] for row in control("stats")["statistics"]["exits"]) < sum(
        row["count"] for row in after["exits"])
    assert "error" in control("nonsense")
    assert control("quit")["reply"] == "quit"
    child.expect(pexpect.EOF)


def processes_with(word):
    """Processes that have the word on their command line."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue  # it has ended
        found += [entry] if word.encode() in line else []
    return found


def test_interrupted_run_ends(tmp_path):
    """Ctrl-C on a run with RUN ends it, QEMU included."""
    options = {"DEVICE": "virtio", "RUN": "sleep 100000", "DISK_IMG": f"{tmp_path}/disk.img"}
    child = pexpect.spawn("scripts/run", env={**os.environ, **options}, cwd=front_door.TOP, timeout=20,
                          encoding="latin1")
    child.expect("# sleep")
    child.send("\x03")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert not processes_with(f"{tmp_path}/disk.img")


def test_gdb(tmp_path):
    """The VMM's symbols are right after its move, and the commands read its state."""
    options = {"DEVICE": "virtio", "RUN": "poweroff", "DISK_IMG": f"{tmp_path}/disk.img"}
    child = pexpect.spawn("make", [*front_door.words(options), "gdb"], cwd=front_door.TOP, timeout=30,
                          encoding="latin1", dimensions=(50, 200), env={**os.environ, "TERM": "dumb"})
    for command, answer in (("hbreak trap_return", "Hardware assisted breakpoint"),
                            ("continue", r"trap_return \("),
                            ("vcpu", r"pc = 0x80200000"),
                            ("gva 0x80200000", "paging is off"),
                            ("shadow 0x80200000", "Sv48"),
                            ("kill", "")):
        child.expect_exact("(gdb) ")
        child.sendline(command)
        child.expect(answer)
    child.sendline("quit")
    child.expect(pexpect.EOF)
    child.close()

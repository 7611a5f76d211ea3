"""A Linux guest under the front door (scripts/run), its console line by line with the time of each,
and its statistics while it runs."""

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
STRATEGIES = ("emulated", "virtio", "passthrough")
EVERY = ("native", *STRATEGIES)
LINUX = {"GUEST": "build/linux/Image", "INITRD": "build/soak/initramfs.cpio"}

# What no kernel's log may have.
COMPLAINT = re.compile(r"rcu.*(stall|detected)|soft lockup|blocked for more than|\bBUG\b|WARNING|Oops|"
                       r"Call Trace|Kernel panic|hung_task")


def complaint(text):
    """The first line of a kernel's complaint; the commands that look for one are shown as "# ..."."""
    return next((line for line in text.split("\n")
                 if COMPLAINT.search(line) and not line.startswith("# ")), None)


class Failed(Exception):
    """What a test found wrong."""


class Late(Failed):
    """What was waited for did not come in time."""


def require(good, sentence):
    if not good:
        raise Failed(sentence)


class Guest:
    """One run. Use as a context: at its end nothing is left running."""

    def __init__(self, options, timeout=300):
        self.options = {"TIMEOUT": str(timeout), **options}
        self.lines = []  # (time of arrival, text)
        self.fresh = queue.Queue()
        self.process = None

    def __enter__(self):
        inherited = {name: value for name, value in os.environ.items()
                     if name not in ("GIVEN", *os.environ.get("OPTIONS", "").split())}
        self.process = subprocess.Popen(["scripts/run"], cwd=TOP, env={**inherited, **self.options},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # the front door ends QEMU
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.join(10)

    def read(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace").replace("\r", "").rstrip("\n")
            self.lines.append((time.monotonic(), text))
            self.fresh.put(self.lines[-1])
        self.fresh.put(None)

    def wait_for(self, pattern, seconds):
        """The match in the next line that has it, and when it came."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.fresh.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise Late(f"no {pattern!r} in {seconds} s") from None
            require(line is not None, f"the run ended without {pattern!r}")
            match = re.search(pattern, line[1])
            if match:
                return match, line[0]

    def finish(self, seconds=300):
        """Waits for the end; the status."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end after {seconds} s") from None
        self.reader.join(10)
        return self.process.returncode

    @property
    def text(self):
        return "\n".join(text for _, text in self.lines)

    def qemu(self):
        """The process of QEMU itself, or None."""
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                      encoding="ascii") as file:
                children = file.read().split()
        except OSError:
            return None
        for child in children:
            try:
                with open(f"/proc/{child}/comm", encoding="ascii") as file:
                    if file.read().startswith("qemu"):
                        return int(child)
            except OSError:
                continue
        return None

    def statistics(self, seconds=10):
        """The VMM's statistics now, or None where there is no VMM or no run any more."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(seconds)
                channel.connect(f"{TOP}/build/run/{self.process.pid}.ctl")
                channel.sendall(b'{"command":"stats"}\n')
                data = b""
                while not data.endswith(b"\n"):
                    more = channel.recv(65536)
                    if not more:
                        return None
                    data += more
        except OSError:
            return None
        return json.loads(data.splitlines()[0]).get("statistics")


def check_memory(statistics):
    """The VMM's own memory: at most 2 % of the guest's RAM and 4 MiB. Returns its bytes."""
    memory = statistics["memory"]
    limit = statistics["config"]["mem"] // 50 + (4 << 20)
    require(memory["vmm_peak"] <= memory["vmm_limit"] <= limit,
            f"the VMM has {memory['vmm_peak']} bytes of its own, {memory['vmm_limit']} at most; "
            f"2 % and 4 MiB are {limit}")
    return memory["vmm_peak"]


def run_script(device, command, tmp, timeout=300, **options):
    """Boots Linux, runs one of the guest's scripts, which must say "soak: ok"; the finished guest."""
    options = {**LINUX, "DEVICE": device, "DISK_IMG": f"{tmp}/disk.img",
               "STATS": f"{tmp}/statistics.json", "RUN": f"{command}; poweroff -f", **options}
    with Guest(options, timeout) as guest:
        status = guest.finish(timeout + 30)
    try:
        require(status == 0, f"the run ended with status {status}")
        require(re.search(r"^soak: ok$", guest.text, re.MULTILINE), "the guest did not say 'soak: ok'")
        require(not complaint(guest.text), f"the kernel's log has {complaint(guest.text)!r}")
        if device != "native":
            with open(options["STATS"], encoding="utf-8") as file:
                check_memory(json.load(file))
    except Failed as failed:
        raise Failed(f"{device}: {failed}\n{guest.text[-6000:]}") from None
    return guest


def disk_of(path, size):
    """An empty disk image."""
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def program(test):
    """Runs a part from the shell: test(temporary folder) gives sentences. The exit status."""
    os.chdir(TOP)
    tmp = tempfile.mkdtemp(prefix="trident-soak-")
    try:
        for sentence in test(tmp):
            print(sentence, flush=True)
        return 0
    except Failed as failed:
        print(f"FAILED {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(tmp, ignore_errors=True)

"""Clones of this tree, and ssh servers on this machine's loopback addresses, for the tests of bench/."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time

from . import front_door

TOP = front_door.TOP
BUILT = ("trident", "guest", "libfdt")


def git(folder, *words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def clone(folder):
    """The tree as it stands, committed there, with what is built (times kept: nothing is built again)."""
    names = git(TOP, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in names:
        if os.path.exists(f"{TOP}/{name}"):
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            shutil.copy2(f"{TOP}/{name}", f"{folder}/{name}", follow_symlinks=False)
    os.makedirs(f"{folder}/build")
    for name in BUILT:
        shutil.copytree(f"{TOP}/build/{name}", f"{folder}/build/{name}", symlinks=True)
    for name in os.listdir(f"{TOP}/build"):
        if name.startswith(".setup-"):
            shutil.copy2(f"{TOP}/build/{name}", f"{folder}/build/{name}")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as it stands")
    return folder


def run(folder, *words, **options):
    """A command in a clone: status and output."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "GIVEN", "OPTIONS", "ONLY", "QUICK", "FULL")}
    done = subprocess.run(words, cwd=folder, env={**environment, **options}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=170, check=False)
    return done.returncode, done.stdout


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


class Host:
    """An sshd of the current user, with keys of its own, and a clone that it leads to."""

    def __init__(self, number, folder, keys):
        self.address, self.port = f"127.0.0.{number}", free_port()
        self.folder, self.keys = folder, keys
        config = f"{keys}/sshd-{number}"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"ListenAddress {self.address}:{self.port}\nHostKey {keys}/host\nPidFile none\n"
                       f"AuthorizedKeysFile {keys}/user.pub\nStrictModes no\nUsePAM no\n"
                       "PasswordAuthentication no\nPermitRootLogin yes\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], start_new_session=True,
                                       stderr=subprocess.DEVNULL)
        self.wait()

    def wait(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"sshd does not listen on {self.address}")

    @property
    def line(self):
        return (f"{self.folder} -p {self.port} -i {self.keys}/user -o StrictHostKeyChecking=no "
                f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {getpass.getuser()}@{self.address}")

    def runs(self):
        """The processes that work in the clone."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{name}/cwd") == os.path.realpath(self.folder):
                    yield int(name)

    def die(self):
        """At once, with all that runs there, as if the power failed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        for process in list(self.runs()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def make_keys(folder):
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    return folder

"""How the tests use the front door: by `make`, as a user does."""

import os
import shlex
import signal
import subprocess

from scripts.runner import firmware

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MAKE = ["make", "--no-print-directory"]


def words(options):
    return [f"{name}={value}" for name, value in options.items()]


def shown(options):
    """The command that repeats a run, for a shell."""
    return " ".join(shlex.quote(word) for word in [*MAKE, *words(options), "qemu"])


def make(options, seconds=120):
    """Runs the guest; (the run's own status, the output)."""
    return run([*words(options), "qemu"], seconds)


def run(arguments, seconds=120, whole=False):
    """Calls make; (status, output). Never leaves a QEMU behind. The status is that of the command that make
    ran (make itself says 2 whatever that was), or None if there was no end in time. What the firmware says
    in between is left out of the output unless it is to be whole."""
    process = subprocess.Popen([*MAKE, *arguments], cwd=TOP, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        late = False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        late = True
    text = output.decode(errors="replace").replace("\r", "")
    text = text if whole else firmware.without(text)
    status = process.returncode
    if status == 2 and "] Error " in text:
        status = int(text.rsplit("] Error ", 1)[1].split()[0])
    return (None if late else status), text

"""The run's disk image: made when it is absent, and held as long as the run goes on.

Two machines that write to one image destroy it. QEMU locks it as well, but only says that it could not;
here the other run is named.
"""

import contextlib
import fcntl
import os
import shlex
import subprocess

from .options import Refusal

RUN_FOLDER = "build/run"  # relative: a socket's path may have 107 bytes only
SHOWN = 200  # characters of another run's command


def create(options):
    """A sparse image, empty or a copy; no partial file is left."""
    path = options.disk_img
    os.makedirs(RUN_FOLDER, exist_ok=True)
    if options.disk_from:
        copy(options.disk_from, path)
        return
    try:
        with open(path, "xb") as file:
            file.truncate(options.disk_size)
    except FileExistsError:
        pass
    except OSError as error:
        if os.path.exists(path):
            os.unlink(path)
        raise Refusal(f"DISK_IMG={path} cannot be created ({error.strerror}): "
                      "free some space or choose another place.") from None


def copy(source, path):
    try:
        subprocess.run(["cp", "--sparse=always", "--", source, path], check=True)
    except (OSError, subprocess.CalledProcessError):
        if os.path.exists(path):
            os.unlink(path)
        raise Refusal(f"{source} cannot be copied to {path}: free some space, or name a place with "
                      "DISK_IMG.") from None


@contextlib.contextmanager
def held(options):
    """The image is this run's until the end of the block: shared with others if all only read it. The
    kernel gives it back when the runner ends, in whatever way. Refuses if another one has it."""
    path = options.disk_img
    if not os.path.exists(path):
        yield
        return
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if options.disk_ro else fcntl.LOCK_EX))
        except BlockingIOError:
            raise Refusal(f"{in_use(path)}: wait for its end, or give this run another disk, such as "
                          f"DISK_IMG={shlex.quote(another(path))}.") from None
        except OSError:
            pass  # a file system without such locks: QEMU's own is left
        yield


def in_use(path):
    """The beginning of a sentence: who has the image."""
    shown = path.removeprefix("./")
    for process in users(path):
        return f"the disk image {shown} is in use by process {process}, {command_of(process)}"
    return f"the disk image {shown} is in use by another process"


def users(path):
    """Processes that have the file open: runs first, then what else has (their QEMUs)."""
    wanted, found = os.stat(path), []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if int(process) == os.getpid():
                continue
            for number in os.listdir(f"/proc/{process}/fd"):
                if os.path.samestat(os.stat(f"/proc/{process}/fd/{number}"), wanted):
                    found.append((b"scripts/run" not in read(process, "cmdline"), int(process)))
                    break
    return [process for _, process in sorted(found)]


def read(process, name):
    with open(f"/proc/{process}/{name}", "rb") as file:
        return file.read()


def command_of(process):
    """How another run was started: with make, the options that it was given there."""
    try:
        pairs = (word.split(b"=", 1) for word in read(process, "environ").split(b"\0") if b"=" in word)
        environment = {name: os.fsdecode(value) for name, value in map(tuple, pairs)}
        words = [os.fsdecode(word) for word in read(process, "cmdline").split(b"\0") if word]
    except OSError:
        return "whose command cannot be read"
    if b"GIVEN" in environment and "scripts/run" in " ".join(words):
        given = environment[b"GIVEN"].split()
        words = ["make", *(f"{name}={environment.get(os.fsencode(name), '')}" for name in given), "qemu"]
    text = " ".join(map(shlex.quote, words))
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def another(path):
    """A name beside that one, of a file that is not there."""
    stem, end = os.path.splitext(path.removeprefix("./"))
    number = 2
    while os.path.exists(f"{stem}-{number}{end}"):
        number += 1
    return f"{stem}-{number}{end}"

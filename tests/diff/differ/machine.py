"""Runs batches of programs in QEMU, natively and under the VMM."""

import ctypes
import os
import selectors
import signal
import struct
import subprocess
import tempfile

from scripts.runner import firmware, machine as qemu
from scripts.runner.options import parse_shadow
from .program import MAGIC

RAM = 64 << 20
SILENCE = 10  # seconds without a line of output: the guest hangs
RESTARTS = 4  # of a machine that does not live through a batch
PR_SET_PDEATHSIG = 1


class Result:
    """What became of one program: a line that is compared, and the text before it."""

    def __init__(self, line, text=()):
        self.line, self.text = line, list(text)

    @property
    def ended(self):
        return self.line.startswith("program ")


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """level: None for the bare machine, else the VMM's patch level."""

    def __init__(self, level, guest="build/diff/guest.bin", vmm=qemu.TRIDENT):
        self.level, self.guest, self.vmm = level, guest, vmm
        self.silence = SILENCE
        self.shadow = parse_shadow(os.environ.get("SHADOW") or "all")

    def command(self, folder, batch):
        args = [qemu.QEMU, "-M", "virt", "-smp", "1", "-bios", "default", "-display", "none",
                "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot",
                "-global", "virtio-mmio.force-legacy=false"]
        if self.level is None:
            return args + ["-cpu", "rv64,h=false" + qemu.NATIVE_CPU["sv39"], "-m", f"{RAM >> 20}M",
                           "-kernel", self.guest, "-initrd", batch]
        options = os.path.join(folder, "options")
        with open(options, "w", encoding="utf-8") as file:
            file.write(f"mem={RAM}\nuart=emulated\ndisk=emulated\ndisk_model=ahci\n"
                       f"patch={self.level}\neager=1\nshadow={','.join(self.shadow)}\n")
        args += ["-cpu", "rv64,h=false" + qemu.VMM_CPU["sv39"], "-m", f"{RAM + qemu.VMM_ROOM >> 20}M",
                 "-kernel", self.vmm]
        for name, path in (("kernel", self.guest), ("initrd", batch), ("options", options)):
            args += ["-fw_cfg", f"name=opt/org.trident/{name},file={path}"]
        return args

    def start(self, records):
        """One QEMU on its way with these records; for finish()."""
        folder = tempfile.TemporaryDirectory(prefix="trident-diff-")
        batch = os.path.join(folder.name, "batch")
        with open(batch, "wb") as file:
            file.write(struct.pack("<QQ", MAGIC, len(records)) + b"".join(records))
        process = subprocess.Popen(self.command(folder.name, batch), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   preexec_fn=end_with_parent)
        return folder, process

    def finish(self, started):
        """The results of the programs that came to their end, and why no further one did."""
        folder, process = started
        results, text, tail, why = [], [], b"", "the machine ended"
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(self.silence):
                why = "no end"
                break
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            lines = (tail + data).split(b"\n")
            tail = lines.pop()
            for line in (firmware.without(line.decode(errors="replace")).strip() for line in lines):
                if line.startswith("program "):
                    results.append(Result("program " + line.split(" ", 2)[2], text))
                    text = []
                else:
                    text.append(line)
        process.kill()
        process.wait()
        process.stdout.close()
        folder.cleanup()
        return results, Result(why, text)


def run_all(machine, records):
    """A result for each record; a QEMU that does not live through all is started again behind it."""
    results = []
    for _ in range(RESTARTS):
        if len(results) < len(records):
            some, last = machine.finish(machine.start(records[len(results):]))
            results += some
            if len(results) < len(records):
                results.append(last)
    return results + [Result("not run")] * (len(records) - len(results))


def run_both(machines, records):
    """run_all() on two machines, side by side where nothing goes wrong."""
    started = [machine.start(records) for machine in machines]
    answers = []
    for machine, run in zip(machines, started):
        results, last = machine.finish(run)
        if len(results) < len(records):
            results.append(last)
            results += run_all(machine, records[len(results):])
        answers.append(results)
    return answers

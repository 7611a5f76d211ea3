"""The journal of a run that goes on: one line for each boot, so that an interrupted run goes on where
it was. It is taken up again only by the same bench: same commit, programs, schema and matrix size.
"""

import glob
import hashlib
import json
import os

SCHEMA = 2
PROGRAMS = ("build/trident/trident.bin", "build/guest/trident-guest.elf", "build/linux/Image",
            "build/linux/initramfs.cpio.gz", "build/workloads/trixie.cpio.gz")


def fingerprint(machine, level, rounds):
    """What must be equal for two parts of one result."""
    digests = {}
    for path in (*PROGRAMS, *sorted(glob.glob("bench/*.py"))):
        if os.path.exists(path):
            with open(path, "rb") as file:
                digests[path] = hashlib.sha256(file.read()).hexdigest()
    return {"schema": SCHEMA, "commit": machine["commit"], "qemu": machine["qemu"],
            "opensbi": machine["opensbi"], "level": level, "rounds": rounds, "programs": digests}


class Journal:
    def __init__(self, path, head):
        """Takes up the journal at path if it is of this head; otherwise puts it aside and begins."""
        self.path = path
        self.entries = []
        self.note = ""
        lines = self.read()
        if lines and lines[0] == head:
            self.entries = lines[1:]
            self.note = f"going on with {len(self.entries)} runs of an interrupted bench ({path})"
            with open(path, "w", encoding="utf-8") as file:  # without a last line that was cut off
                file.writelines(json.dumps(line) + "\n" for line in lines)
            return
        if os.path.exists(path):
            os.replace(path, path + ".old")
            self.note = f"{path} is of another commit, matrix or QEMU: put aside as {path}.old"
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(head) + "\n")

    def read(self):
        """Its lines up to the first that cannot be read."""
        lines = []
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8", errors="replace") as file:
                for text in file:
                    try:
                        lines.append(json.loads(text))
                    except ValueError:
                        break
        return lines

    def find(self, machine, turn, names):
        """What was seen of these cells in this round, or None."""
        for entry in self.entries:
            if entry["machine"] == machine and entry["round"] == turn and names <= set(entry["cells"]):
                return entry
        return None

    def add(self, entry):
        self.entries.append(entry)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def remove(self):
        """The result is written."""
        if os.path.exists(self.path):
            os.unlink(self.path)

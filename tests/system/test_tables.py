"""Tables of the VMM that a developer can outgrow: too small a one does not build, and the message names it."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from . import front_door

# The table's size, where it is, a value that is too small, and a file that must be refused then.
TABLES = [
    ("VM_DEVICES", "core/vm/vm.h", "1u", "core/board/board.c"),
    ("SHADOW_MAPPINGS", "core/engine/trap/shadow.h", "2u", "core/engine/trap/engine.c"),
    ("VIRTIO_MMIO_QUEUES", "devices/paravirt/mmio.h", "1u", "devices/paravirt/console.c"),
    ("VIRTIO_MMIO_CONFIG_MAX", "devices/paravirt/mmio.h", "32u", "devices/paravirt/disk.c"),
]


def compiler(source):
    """The words with which make compiles this file, but for the output."""
    _, text = front_door.run(["-nB", f"build/trident/{source[:-2]}.o"])
    line = next(line for line in text.split("\n") if f" -c {source} " in line)
    words = shlex.split(line)
    return words[:words.index("-MMD")]


def compiles(words, source, folder):
    """(Whether it does, what the compiler says.)"""
    done = subprocess.run([*words, "-fsyntax-only", source], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("name,header,small,source", TABLES, ids=[table[0] for table in TABLES])
def test_too_small(name, header, small, source, tmp_path):
    words = compiler(source)
    for folder in ("core", "devices"):
        shutil.copytree(os.path.join(front_door.TOP, folder), tmp_path / folder)
    os.symlink(os.path.abspath(os.path.join(front_door.TOP, "build")), tmp_path / "build")
    assert compiles(words, source, tmp_path) == (True, "")
    text, changed = re.subn(rf"(#define {name}\s+)\w+", rf"\g<1>{small}", (tmp_path / header).read_text())
    assert changed == 1
    (tmp_path / header).write_text(text)
    good, said = compiles(words, source, tmp_path)
    assert not good and name in said

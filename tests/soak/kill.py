"""Kill test: QEMU gets SIGKILL at a random moment of a write load; every block whose fsync had returned
in the guest must be in the image, with its content.

  kill.py STRATEGY... [--times N] [--seed S]

Every second kill is of a file on ext4, which afterwards must have a journal that e2fsck replays; the
others are of the raw disk. QEMU's page cache is the machine's, which outlives QEMU: what the guest
has flushed survives, what it has not may not.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys

from .guest import LINUX, STRATEGIES, Failed, Guest, Late, complaint, disk_of, program, require

SIZE = 64 << 20
BLOCK = 4096
STRIDE = 4001  # as in guest/soak.c
RAW_BLOCKS = SIZE // BLOCK
FILE_BLOCKS = 8192  # the file system needs room of its own
WRITERS = 4
MASK = (1 << 64) - 1


def content(n):
    """Block n, as guest/soak.c makes it."""
    words, x = [n], n + 1
    for i in range(BLOCK // 8):
        x ^= x << 13 & MASK
        x ^= x >> 7
        x ^= x << 17 & MASK
        if i > 0:
            words.append(x)
    return b"".join(word.to_bytes(8, "little") for word in words)


def check_blocks(data, acknowledged, blocks):
    """Every acknowledged block is whole; every other place holds nothing, or a whole block of its own."""
    for n in acknowledged:
        at = n * STRIDE % blocks * BLOCK
        require(data[at:at + BLOCK] == content(n), f"block {n} was acknowledged and is not there")
    known = {n * STRIDE % blocks for n in acknowledged}
    inverse = pow(STRIDE, -1, blocks)
    zero = bytes(BLOCK)
    for place in range(min(blocks, len(data) // BLOCK)):
        block = data[place * BLOCK:(place + 1) * BLOCK]
        if place not in known and block != zero:
            n = place * inverse % blocks
            require(block == content(n), f"place {place} holds what was never written there")


def sbin(tool):
    return next((path for path in (f"/usr/sbin/{tool}", f"/sbin/{tool}") if os.path.exists(path)), tool)


def command(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def read_file_system(image, tmp):
    """The file "data" out of the file system, whose journal is replayed first."""
    status, text = command(sbin("e2fsck"), "-p", image)
    require(status in (0, 1), f"e2fsck -p ended with {status}: {text}")
    status, text = command(sbin("e2fsck"), "-fn", image)
    require(status == 0, f"after its journal was replayed, e2fsck -fn ended with {status}: {text}")
    out = f"{tmp}/data"
    command(sbin("debugfs"), "-R", f"dump /data {out}", image)
    if not os.path.exists(out):
        return b""
    with open(out, "rb") as file:
        data = file.read()
    os.unlink(out)
    return data


def kill_once(device, with_file_system, wait, tmp, **options):
    """One kill, `wait` seconds after the first acknowledged block. Returns how many were acknowledged."""
    image = disk_of(f"{tmp}/kill.img", SIZE)
    blocks = RAW_BLOCKS
    run = f"soak write /dev/trident {blocks} {WRITERS}"
    if with_file_system:
        blocks = FILE_BLOCKS
        require(command(sbin("mke2fs"), "-q", "-F", "-t", "ext4", image)[0] == 0, "mke2fs failed")
        run = f"mount -t ext4 /dev/trident /mnt; soak write /mnt/data {blocks} {WRITERS}"
    options = {**LINUX, "DEVICE": device, "DISK_IMG": image, "RUN": f"{run}; poweroff -f", **options}
    with Guest(options) as guest:
        guest.wait_for(r"^ack \d+$", 120)
        qemu = guest.qemu()
        require(qemu, "there is no QEMU to kill")
        try:
            guest.wait_for(r"^(failed|trident-run.*: done)", wait)
        except Late:
            pass
        else:
            raise Failed(f"the writers ended before the kill\n{guest.text[-3000:]}")
        os.kill(qemu, signal.SIGKILL)
        guest.finish(30)
        text = guest.text
    require(not complaint(text), f"the kernel complained:\n{text[-3000:]}")
    # Only whole lines count: the last may have been cut.
    acknowledged = [int(n) for n in re.findall(r"^ack (\d+)$", text[:text.rfind("\n") + 1], re.MULTILINE)]
    if with_file_system:
        data = read_file_system(image, tmp)
    else:
        with open(image, "rb") as file:
            data = file.read()
    check_blocks(data, acknowledged, blocks)
    os.unlink(image)
    return len(acknowledged)


def kill(device, times, tmp, seed=0, **options):
    """A sentence about `times` kills of guests under one strategy."""
    chance = random.Random(f"{seed} {device}")
    total = 0
    for i in range(times):
        wait = round(chance.uniform(0.05, 4), 3)
        try:
            total += kill_once(device, i % 2 == 1, wait, tmp, **options)
        except Failed as failed:
            raise Failed(f"kill {i + 1} of {device} (seed {seed}, {wait} s, "
                         f"{'ext4' if i % 2 else 'raw'}): {failed}") from None
    return f"kill {device}: {times} kills, {total} blocks acknowledged, 0 lost"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    return program(lambda tmp: (kill(device, arguments.times, tmp, arguments.seed)
                                for device in arguments.strategies))


if __name__ == "__main__":
    sys.exit(main())

"""Good and bad files for the rows of the manifest."""

import gzip
import os
import struct


def elf(machine=243, address=0x80200000, size=16):
    """A smallest ELF executable: one segment."""
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, address, 64, 0,
                                                       0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 120, address, address, size, size, 16)
    return header + segment + bytes(size)


def linux_image(size, sections_end=0):
    """The header of a RISC-V Linux Image; with sections_end, one that is a PE file too."""
    head = bytearray(512)
    struct.pack_into("<QQ", head, 8, 0x200000, size)
    head[56:60] = b"RSC\x05"
    if sections_end:
        head[0:2] = b"MZ"
        struct.pack_into("<I", head, 60, 64)
        head[64:68] = b"PE\0\0"
        struct.pack_into("<HH", head, 68, 0xAA64, 1)
        struct.pack_into("<II", head, 64 + 24 + 16, sections_end - 512, 512)
    return bytes(head)


def make(folder):
    contents = {
        "empty": b"",
        "text": b"This is no kernel.\n" * 10,
        "short.elf": elf(size=4096)[:300],
        "x86.elf": elf(machine=62),
        "outside.elf": elf(address=0x10000),
        "short.Image": linux_image(1 << 20, sections_end=1 << 19),
        "large.Image": linux_image(20 << 20),
        "guest.gz": gzip.compress(elf()),
        "odd.img": bytes(1000),
        "read-only.img": bytes(1 << 20),
    }
    for name, content in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    os.chmod(os.path.join(folder, "read-only.img"), 0o444)

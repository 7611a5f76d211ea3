"""Guest files: what memory they take, and whether they are whole.

Linux Image: Documentation/arch/riscv/boot-image-header.rst; it is also a PE file when the kernel
has its EFI stub, whose section table tells a truncated one. ELF: gABI, 64-bit little-endian.
"""

import os
import re
import struct

ELF_MAGIC = b"\x7fELF"
EM_RISCV = 243
PT_LOAD = 1
IMAGE_MAGIC = b"RSC\x05"
IMAGE_HEADER = 64
# Where the VMM (core/board/loader.c) puts what.
IMAGE_OFFSET = 2 << 20  # of an Image from the start of RAM: QEMU's rule, whatever its text_offset says
TREE_SIZE, TREE_ALIGN, PAGE = 0x10000, 2 << 20, 4096  # device tree at the top, initial RAM disk below
FIRMWARE_BYTES = 1 << 20  # of a file in which OpenSBI's banner is looked for
FIRMWARE = re.compile(rb"\nOpenSBI (v%d|%s)")


MACHINE_MODE = "it starts in machine mode, and a guest in machine mode is not supported."


class BadImage(Exception):
    """What is wrong with the file, and what to do."""


def head(path, size=4096):
    with open(path, "rb") as file:
        return file.read(size)


def is_linux_image(path):
    try:
        return head(path, IMAGE_HEADER)[56:60] == IMAGE_MAGIC
    except OSError:
        return False


def is_firmware(path):
    """OpenSBI itself, as an ELF (linked at 0, since it moves itself) or flat."""
    return bool(FIRMWARE.search(head(path, FIRMWARE_BYTES)))


def top(ram_base, mem, initrd):
    """Up to where a kernel may reach; initrd: bytes of the initial RAM disk."""
    tree = (ram_base + mem - TREE_SIZE) // TREE_ALIGN * TREE_ALIGN
    return (tree - initrd) // PAGE * PAGE


def extent(path, ram_base):
    """(first, end, entry): the physical memory that the image takes, and where it starts."""
    start = head(path)
    if not start:
        raise BadImage("the file is empty; give a Linux Image or an ELF.")
    if start[:2] == b"\x1f\x8b" or start[:4] == b"\x28\xb5\x2f\xfd" or start[:6] == b"\xfd7zXZ\0":
        raise BadImage("the file is compressed; unpack it first.")
    if start.startswith(ELF_MAGIC):
        return elf_extent(path, start)
    if start[56:60] == IMAGE_MAGIC:
        return linux_extent(path, start, ram_base)
    if is_firmware(path):
        raise BadImage(f"this is OpenSBI: {MACHINE_MODE}")
    raise BadImage("the file is neither a RISC-V Linux Image nor an ELF (or is cut short); "
                   "give one of these.")


def linux_extent(path, start, ram_base):
    size = os.path.getsize(path)
    if size < IMAGE_HEADER or size < pe_end(start):
        raise BadImage("the Linux Image is truncated; copy or build it again.")
    (image_size,) = struct.unpack_from("<Q", start, 16)
    first = ram_base + IMAGE_OFFSET
    return first, first + max(image_size, size), first


def pe_end(start):
    """End of the last section's bytes, or 0 if this is no PE file."""
    try:
        (pe,) = struct.unpack_from("<I", start, 60)
        if start[:2] != b"MZ" or start[pe:pe + 4] != b"PE\0\0":
            return 0
        (sections,) = struct.unpack_from("<H", start, pe + 6)
        (optional,) = struct.unpack_from("<H", start, pe + 20)
        table = pe + 24 + optional
        ends = [sum(struct.unpack_from("<II", start, table + 40 * i + 16)) for i in range(sections)]
        return max(ends, default=0)
    except struct.error:
        return IMAGE_HEADER if len(start) >= 4096 else len(start) + 1


def elf_extent(path, start):
    size = os.path.getsize(path)
    if size < 64:
        raise BadImage("the ELF file is truncated; build it again.")
    if start[4] != 2 or start[5] != 1 or struct.unpack_from("<H", start, 18)[0] != EM_RISCV:
        raise BadImage("the ELF file is not for 64-bit RISC-V; build it for rv64.")
    (kind,) = struct.unpack_from("<H", start, 16)
    entry, table = struct.unpack_from("<QQ", start, 24)
    entry_size, count = struct.unpack_from("<HH", start, 54)
    if kind not in (2, 3):
        raise BadImage("the ELF file is no executable; link it.")
    if table + entry_size * count > size or entry_size < 56:
        raise BadImage("the ELF file is truncated; build it again.")
    with open(path, "rb") as file:
        file.seek(table)
        headers = file.read(entry_size * count)
    loads, start = [], None
    for i in range(count):
        fields = struct.unpack_from("<IIQQQQQQ", headers, i * entry_size)
        segment, _, offset, vaddr, paddr, file_size, memory_size, _ = fields
        if segment != PT_LOAD or memory_size == 0:
            continue
        if offset + file_size > size or file_size > memory_size:
            raise BadImage("the ELF file is truncated; build it again.")
        loads.append((paddr, paddr + memory_size))
        if vaddr <= entry < vaddr + memory_size:
            start = entry - vaddr + paddr
    if start is None:
        raise BadImage("the ELF file has no code at its entry point; link it again.")
    return min(load[0] for load in loads), max(load[1] for load in loads), start

"""What the machine's firmware writes to the console unasked: its banner, and in the middle of the guest's lines.

OpenSBI from 1.6 on says so, without a line's end, of each illegal SYSTEM instruction that accesses no CSR
(lib/sbi/sbi_illegal_insn.c): natively when a program of vU executes an sret, and under the VMM, which keeps it from a UART
that it drives itself, when the UART is passed through. Whoever looks for a line of the guest leaves it out; it is shown
as it is.
"""

import re
import socket

TALK = "system_opcode_insn: Invalid opcode for CSR read/write instruction"
# struct fw_dynamic_info (OpenSBI's include/sbi/fw_dynamic.h), behind the reset code of QEMU's hw/riscv/boot.c.
HANDED = 0x1028
MAGIC = 0x4942534F  # "OSBI": its first member
OPTIONS = HANDED + 4 * 8
NO_BOOT_PRINTS = 1  # SBI_SCRATCH_NO_BOOT_PRINTS


def without(text):
    """Text (str or bytes) without that sentence."""
    return text.replace(TALK.encode(), b"") if isinstance(text, bytes) else text.replace(TALK, "")


def packet(text):
    """One packet of gdb's remote protocol."""
    return f"${text}#{sum(text.encode()) % 256:02x}".encode()


def ask(connection, text):
    """The answer to a packet; empty where QEMU does not understand it or does not answer."""
    connection.sendall(packet(text))
    answer = b""
    while not (whole := re.search(rb"\$([^#]*)#..", answer)):
        data = connection.recv(4096)
        if not data:
            return ""
        answer += data
    connection.sendall(b"+")
    return whole[1].decode(errors="replace")


def silence(path):
    """Has OpenSBI start without its banner, natively and under the VMM: in the machine, which is still stopped, sets
    the option for it in what QEMU's reset code hands to it. path: the socket of QEMU's gdb stub. False if what
    is there is something else, or is not to be changed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        try:
            connection.connect(path)
            if ask(connection, f"m{HANDED:x},8") != MAGIC.to_bytes(8, "little").hex():
                return False
            options = int.from_bytes(bytes.fromhex(ask(connection, f"m{OPTIONS:x},8")), "little") | NO_BOOT_PRINTS
            return ask(connection, f"M{OPTIONS:x},8:{options.to_bytes(8, 'little').hex()}") == "OK"
        except (OSError, ValueError):
            return False

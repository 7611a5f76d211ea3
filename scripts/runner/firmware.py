"""What the machine's firmware writes to the console unasked, in the middle of the guest's lines.

OpenSBI from 1.6 on says so, without a line's end, of each illegal SYSTEM instruction that accesses no CSR
(lib/sbi/sbi_illegal_insn.c): natively when a program of vU executes an sret, and under the VMM, which keeps it from a UART
that it drives itself, when the UART is passed through. Whoever looks for a line of the guest leaves it out; it is shown
as it is.
"""

TALK = "system_opcode_insn: Invalid opcode for CSR read/write instruction"


def without(text):
    """Text (str or bytes) without that sentence."""
    return text.replace(TALK.encode(), b"") if isinstance(text, bytes) else text.replace(TALK, "")

"""What programs are made of: templates with weights, each of which appends units to a program.

Only what the specification and QEMU define is generated. Kept out: an odd sepc, UXL of sstatus,
several interrupts pending at once, time, page tables outside RAM, traps through OpenSBI in vectored
mode, addresses below RAM with paging off (there are the board's devices), wfi of vU at the end of a
page, mret in vS; and a change of a table or of code is one unit with its fence.

A module uses those before it: maker, plain, csr, interrupts, flow, memory, weights.
"""

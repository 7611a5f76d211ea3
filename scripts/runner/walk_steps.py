"""What `make walk` looks for in a run, and the functions of the VMM that it stops at.

Only names and sentences are here: order, places in the source and values come from the run. A name
that the VMM does not have is refused (scripts/walk), so that this table cannot rot.
"""

# A function, and what it does. Those that an exit does not reach are not shown.
STEPS = {
    "trap_entry": "the hardware has come here: stvec. The guest's registers are saved into the vcpu",
    "trap_handle": "one table leads from scause to a handler",
    "handle_illegal": "an instruction that U-mode may not execute; OpenSBI got it first and passed it on",
    "handle_ecall": "an ecall: a patched instruction, a system call, or a call of the firmware",
    "handle_page_fault": "no entry in the shadow page table: what does the guest's own table say?",
    "patch_site": "from now on an ecall stands here, in a copy of the page that only executes",
    "patch_lookup": "is the pc a patched site, and what stood there?",
    "priv_execute": "a privileged instruction is carried out for the guest",
    "csr_execute": "one table row per CSR: the virtual register is read or written",
    "vcpu_sret": "mode = SPP, SIE = SPIE, pc = sepc, all of it virtual",
    "vcpu_raise": "what the hardware does for a trap into S-mode, on the virtual CSRs",
    "sbi_call": "the guest's firmware is the VMM: one table row per SBI extension",
    "shadow_fault": "the guest's page table is walked: RAM, a device, or the guest's own fault",
    "emulate_mmio": "a device: the instruction is decoded, once",
    "board_access": "which window of the board holds the guest-physical address?",
    "device_access": "the seam: counted, then handed to the strategy",
    "uart_access": "the 16550A's register model",
    "virtio_mmio_access": "the virtio transport's registers",
    "disk_service": "virtio-blk: the queue is worked on, and what the host has finished is handed back",
    "virtio_mmio_pop": "takes one request out of the queue in guest memory",
    "disk_submit": "the host's driver hands the guest's own pages to the real disk",
    "virtio_mmio_push": "writes the used ring in guest memory: this request is done",
    "virtio_mmio_signal": "shall the guest be interrupted?",
    "device_set_irq": "the device's interrupt line",
    "vplic_set_line": "the virtual interrupt controller",
    "vcpu_set_external": "its output, the virtual hart's external interrupt",
    "vcpu_prepare": "before the guest goes on: a due interrupt, and the right shadow root",
    "vcpu_deliver_interrupt": "is one pending, enabled, and may it come now?",
    "shadow_select": "the guest's mode or satp has changed: the root that fits it goes into the real satp",
    "ahead_run": "PATCH=cluster: the guest's next instructions, while the VMM is here anyway",
    "trap_return": "registers, sepc and sstatus of the guest, then sret",
}


def instruction_is(kind):
    return lambda exit, settled: exit.kind == kind and settled(exit)


def has(step):
    return lambda exit, settled: step in exit.steps and settled(exit)


def first(_exit):
    return True


def again(exit):
    """Not the first time, where the instruction is patched."""
    return exit.patch == "off" or exit.scause != 2


class Event:
    """title: what is shown. start: the guest's function after whose begin to look (None: go on).
    match: whether an exit is the one. until: a later exit that belongs to it, by its step."""

    def __init__(self, title, start, match, settled=first, until=None, patched_only=False):
        self.title, self.start, self.until = title, start, until
        self.patched_only = patched_only
        self.matches = lambda exit: match(exit, settled)


# In the order in which the guest does them: it boots, reads a sector, and runs `bench trap`.
RUN = "disk read 0 1; bench trap"
UART, DISK_NOTIFY = 0x10000000, 0x10001050
EVENTS = {
    "uart": Event("a UART store: the guest's driver writes a character into THR",
                  "console_output_take",
                  lambda exit, _: exit.scause == 15 and exit.stval == UART),
    "virtio": Event("a virtio request: the guest's driver tells the disk of a request in its queue",
                    "ring_kick", lambda exit, _: exit.scause == 15 and exit.stval == DISK_NOTIFY,
                    until="virtio_mmio_push"),
    "csrr": Event("a csrr, the first time: the guest kernel reads sscratch", "op_csrr",
                  instruction_is("csr")),
    "csrr-again": Event("a csrr, from then on: the same instruction, now patched", None,
                        instruction_is("csr"), again, patched_only=True),
    "sret": Event("an sret: the guest kernel returns to a process", "op_ecall", has("vcpu_sret"), again),
    "syscall": Event("an ecall: a guest process calls its kernel", None,
                     lambda exit, _: exit.mode == "vU" and exit.scause == 8),
    "sbi": Event("an ecall: the guest kernel calls its firmware", "op_sbi", has("sbi_call")),
}
EXITS = 24  # looked at for one event, before it is said that it did not trap

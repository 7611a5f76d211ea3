"""What `make walk` looks for in a run, and the functions of the VMM that it stops at.

Only names and sentences are here: order, places in the source and values come from the run. A name
that the VMM or the guest does not have is refused (scripts/walk), so that this table cannot rot.
"""

# A function, and what it does. Those that an exit does not reach are not shown.
STEPS = {
    "trap_entry": "the hardware has come here: stvec. The guest's registers are saved into the vcpu",
    "trap_handle": "one table leads from scause to a handler",
    "handle_illegal": "an instruction that U-mode may not execute; OpenSBI got it first and passed it on",
    "handle_ecall": "an ecall: a system call, or a call of the firmware",
    "handle_page_fault": "no entry in the shadow page table: what does the guest's own table say?",
    "patch_site": "from now on an ecall stands here, in a copy of the page that only executes",
    "site_renew": "which instruction of the guest's kernel trapped here as an ecall? Decoded, and remembered",
    "site_read": "the guest's instruction at pc: fetched and decoded",
    "site_fetch": "the guest's instruction at pc: fetched and decoded, or remembered from an earlier exit",
    "priv_execute": "a privileged instruction is carried out for the guest",
    "csr_execute": "one table row per CSR: the virtual register is read or written",
    "vcpu_sret": "mode = SPP, SIE = SPIE, pc = sepc, all of it virtual",
    "vcpu_raise": "what the hardware does for a trap into S-mode, on the virtual CSRs",
    "sbi_call": "the guest's firmware is the VMM: one table row per SBI extension",
    "shadow_fault": "the guest's page table is walked: RAM, a device, or the guest's own fault",
    "shadow_fill": "an entry of the shadow page table: what the guest's and the VMM's tables come to together",
    "emulate_mmio": "no RAM: may the decoded instruction be carried out there?",
    "window_at": "which window of the board holds the guest-physical address?",
    "device_access": "a device's window, and the seam: counted, then handed to the strategy",
    "uart_access": "the 16550A's register model",
    "virtio_mmio_access": "the virtio transport's registers",
    "ahci_access": "the AHCI controller's register model",
    "ahci_slots_run": "PxCI: the command's table in guest memory is read, and its FIS decoded",
    "ahci_prd_collect": "the command's PRDs: pieces of guest memory, each checked",
    "ahci_slots_service": "what the host has finished becomes what the guest's AHCI command waits for",
    "ahci_receive_sdb": "the FIS that says so, in guest memory, and a bit of PxIS",
    "ahci_receive_d2h": "the FIS that says so, in guest memory, and a bit of PxIS",
    "disk_service": "virtio-blk: the queue is worked on, and what the host has finished is handed back",
    "virtio_mmio_pop": "takes one request out of the queue in guest memory",
    "disk_submit": "the host's driver hands the guest's own pages to the real disk",
    "virtio_mmio_push": "writes the used ring in guest memory: this request is done",
    "virtio_mmio_signal": "shall the guest be interrupted?",
    "run_interrupt": "the real machine interrupts: what is due is handled, and what has waited has its turn",
    "host_interrupt": "the real machine's interrupt controller: claimed there, and the device's driver has its turn",
    "host_irq_complete": "completed at the real interrupt controller: the device may interrupt again",
    "routed_irq": "a passed-through device's: only the guest can serve it, so it stays claimed until it has",
    "device_set_irq": "the device's interrupt line",
    "vplic_access": "the virtual interrupt controller's registers: claim and complete are among them",
    "lines_set": "the source that the line leads to, at the guest's interrupt controller",
    "vplic_set_line": "the virtual interrupt controller",
    "vcpu_set_external": "its output, the virtual hart's external interrupt",
    "trap_prepare": "before the guest goes on: a due interrupt, and the right shadow root",
    "vcpu_deliver_interrupt": "is one pending, enabled, and may it come now?",
    "shadow_select": "the guest's mode or satp has changed: the root that fits it goes into the real satp",
    "ahead_run": "PATCH=cluster: the guest's next instructions, while the VMM is here anyway",
    "trap_return": "registers, sepc and sstatus of the guest, then sret",
}
# With PATCH=off these return at once, and are not stopped at.
OF_PATCHING = ("patch_site", "ahead_run")
PATCHED = {"handle_ecall": "an ecall: a patched instruction, a system call, or a call of the firmware"}

LEVELS = {
    "off": "each privileged instruction traps, each time: the textbook, and so what `make walk` shows unless "
           "PATCH is given. At ecall it would be cheaper, at cluster several would share a trap, and at "
           "inline, which is what `make qemu` uses, most do not trap at all: PATCH=ecall (cluster, inline) "
           "shows that.",
    "ecall": "a privileged instruction traps once as such, and is an ecall from then on. PATCH=off is the "
             "textbook.",
    "cluster": "as ecall, and the VMM carries out the guest's next privileged instructions in the same trap. "
               "PATCH=off is the textbook.",
    "inline": "as cluster, and what traps often becomes a load or store that does not trap: some steps of the "
              "textbook do not exist here. PATCH=off has them all.",
}


def step_names(patch):
    return [name for name in STEPS if patch != "off" or name not in OF_PATCHING]


def sentence(step, patch):
    return PATCHED.get(step, STEPS[step]) if patch != "off" else STEPS[step]


def lane(path):
    """Whose code a step of the VMM is."""
    if path.startswith("devices/"):
        return "device"
    return "host" if path.startswith("core/host/") else "VMM"


LANES = ("guest user", "guest kernel", "M-mode", "VMM", "device", "host")


class Part:
    """One exit of an event: what it is; whether one that begins so can be it (scause, stval, mode and instruction
    are known by then); what the VMM must have counted it as; and what else it must have come to. step: the
    function that does it; where one exit serves for several instructions, that is reached in another's."""

    def __init__(self, what, begins, exit_class, came=lambda exit: True, step=None):
        self.what, self.begins, self.exit_class, self.came, self.step = what, begins, exit_class, came, step

    def matches(self, exit):
        return exit.exit_class == self.exit_class and self.came(exit)


class Event:
    """title: what is shown. start: the guest's function from whose begin on it is looked for, after skip calls,
    and once the guest has come to the function after; end: the one where the search ends. parts: the exits that
    it has. machine: the run that it is in."""

    def __init__(self, title, start, *parts, skip=0, after=None, end=None, machine="virtio"):
        self.title, self.start, self.parts, self.skip = title, start, parts, skip
        self.after, self.end, self.machine = after, end, machine


def at(function, word):
    """At an instruction of the guest's function, by its first letters."""
    return lambda exit: exit.symbol.split("+")[0] == function and exit.text.startswith(word) \
        and not exit.scause & INTERRUPT


def settled_sret(exit):
    """Not the first time, where the instruction is patched."""
    return at("op_ecall", "sret")(exit) and (exit.patch == "off" or exit.scause != ILLEGAL)


def process(scause):
    return lambda exit: exit.mode == "vU" and exit.scause == scause


def access(scause, address):
    return lambda exit: exit.scause == scause and exit.stval == address


def reaches(*steps):
    return lambda exit: set(steps) <= exit.names


def injects(exit):
    """The virtual hart takes a trap for an interrupt."""
    vector = exit.after[1]["stvec"] & ~3
    return any(name == "vcpu_deliver_interrupt" and ["pc", vector] in [[row[1], row[3]] for row in rows]
               for name, _, rows in exit.rows)


def external(exit):
    return exit.scause == EXTERNAL


def plic(store):
    """The S-mode context's register for claim (load) and complete (store), as EXIT_PLIC's detail."""
    return lambda exit: exit.detail == (CLAIM_OFFSET >> 2 | store << 31)


ILLEGAL, ECALL_U, FETCH_FAULT, LOAD_FAULT, STORE_FAULT = 2, 8, 12, 13, 15
INTERRUPT = 1 << 63
EXTERNAL = INTERRUPT | 9
UART, DISK_NOTIFY, AHCI_PXCI = 0x10000000, 0x10001050, 0x138
PLIC, CLAIM_OFFSET = 0xC000000, 0x201004
# The handler's own two accesses to the interrupt controller.
HANDLER = (Part("the guest's handler asks which source it was: claim",
                access(LOAD_FAULT, PLIC + CLAIM_OFFSET), "EXIT_PLIC", plic(0), "vplic_access"),
           Part("the guest's handler has served it: complete",
                access(STORE_FAULT, PLIC + CLAIM_OFFSET), "EXIT_PLIC", plic(1), "vplic_access"))

# The runs. The disk answers no sooner than this, so never before the exit that hands it a request is over. It does
# by the next stop (QEMU finishes what is on its way when it stops the machine): so always at the same place.
LATENCY_NS = 20_000_000
READ = "bench disk read 4096 1 1"
MACHINES = {
    "virtio": {"UART": "emulated", "DISK": "virtio", "RUN": f"bench trap; {READ}"},
    "ahci": {"UART": "emulated", "DISK": "emulated", "RUN": READ},
    "passthrough": {"UART": "passthrough", "DISK": "virtio", "RUN": "mem"},
}
# In the order in which the guest does them, those of one run together.
EVENTS = {
    "uart": Event("a UART store: the guest's driver writes a character into THR", "console_output_take",
                  Part("the store", access(STORE_FAULT, UART), "EXIT_MMIO", reaches("uart_access"))),
    "csrr": Event("a csrr, the first time: the guest kernel reads sscratch", "op_csrr",
                  Part("the csrr", at("op_csrr", "csrr"), "EXIT_CSR", step="csr_execute")),
    "csrr-again": Event("the same csrr once more", "op_csrr",
                        Part("the csrr", at("op_csrr", "csrr"), "EXIT_CSR", step="csr_execute"),
                        skip=1, end="op_csrw"),
    "fill": Event("a page fault that the guest does not see: its page table says yes, the shadow has no entry yet",
                  "op_ecall", Part("the process's first fetch", process(FETCH_FAULT), "EXIT_SHADOW_FILL",
                                   reaches("shadow_fill"), "shadow_fill"), end="op_fault"),
    "sret": Event("an sret: the guest kernel returns to a process", "op_ecall",
                  Part("the sret", settled_sret, "EXIT_SRET", reaches("vcpu_sret"), "vcpu_sret"), end="op_fault"),
    "syscall": Event("an ecall: a guest process calls its kernel", "op_ecall",
                     Part("the ecall", process(ECALL_U), "EXIT_SYSCALL"), end="op_fault"),
    "fault": Event("a page fault of the guest's own: its page table says no", "op_fault",
                   Part("the load", at("op_fault", "ld"), "EXIT_GUEST_FAULT", step="vcpu_raise"), end="op_load"),
    "sbi": Event("an ecall: the guest kernel calls its firmware", "op_sbi",
                 Part("the ecall", at("op_sbi", "ecall"), "EXIT_SBI")),
    "virtio": Event("a virtio request: the guest's driver tells the disk of a request in its queue", "ring_kick",
                    Part("the store to QueueNotify", access(STORE_FAULT, DISK_NOTIFY), "EXIT_MMIO",
                         reaches("virtio_mmio_pop", "disk_submit")),
                    Part("the real disk has finished", external, "EXIT_INTERRUPT", reaches("virtio_mmio_push")),
                    after="disk_run"),
    "interrupt": Event("an interrupt, from the device to the guest's handler", "ring_kick",
                       Part("the real disk interrupts the VMM, and the virtual disk raises its line", external,
                            "EXIT_INTERRUPT", reaches("virtio_mmio_push", "vcpu_set_external")),
                       Part("the guest's kernel lets interrupts in, and there it is", at("interrupts_on", "csr"),
                            "EXIT_CSR", injects, "vcpu_deliver_interrupt"),
                       *HANDLER, after="disk_run"),
    "ahci": Event("an AHCI command: the guest's driver sets a bit of PxCI", "disk_run",
                  Part("the store to PxCI", lambda exit: exit.stval & 0xFFF == AHCI_PXCI, "EXIT_MMIO",
                       reaches("ahci_slots_run", "disk_submit")),
                  Part("the real disk has finished", external, "EXIT_INTERRUPT", reaches("ahci_slots_service")),
                  machine="ahci"),
    "passthrough": Event("an interrupt of a passed-through UART, whose registers do not trap", "console_start",
                         Part("the real UART interrupts: only the guest can serve it", external, "EXIT_INTERRUPT",
                              reaches("routed_irq", "vplic_set_line")), *HANDLER, machine="passthrough"),
}
EXITS = 100  # looked at for one part of an event, before it is said that it did not trap

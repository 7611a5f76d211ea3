"""The one place with QEMU's command line."""

import base64
import errno
import os
import stat

from .options import BOOT_ARGUMENTS_MAX, COMMAND_LINE_MAX, RAM_BASE, Refusal

QEMU = "qemu-system-riscv64"
TRIDENT = "build/trident/trident.bin"
TRIDENT_ELF = "build/trident/trident.elf"
VMM_ROOM = 32 << 20  # RAM for the VMM, above the guest's; or, if more, what it may need:
VMM_NEED = 8 << 20  # and 2 % of the guest's (core/boot.c)

# The guest's largest address mode -> what the processor must not offer. A guest of the VMM is shadowed
# one mode higher, so that the VMM's own mapping is out of its reach.
NATIVE_CPU = {"sv39": ",sv48=off,sv57=off", "sv48": ",sv57=off"}
VMM_CPU = {"sv39": ",sv57=off", "sv48": ""}
MAP_OFFSET = {"sv39": 0xFFFF800000000000, "sv48": 0xFF00000000000000}  # core/host/map.h


def escape(text):
    """QEMU's options are separated by commas; a comma itself is doubled."""
    return text.replace(",", ",,")


def file_driver(path):
    """What QEMU opens a file with. Named together with file.filename= it also says that the name is one:
    alone, `nbd:host:port` or `json:{}` would be a protocol (QEMU's docs/system/images)."""
    is_block = os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)
    return "host_device" if is_block else "file"


def command_line(options):
    """The guest's boot arguments."""
    words = []
    if options.linux_like:
        # Before hvc0's driver, a module, is loaded, the kernel has the virtual terminal's dummy.
        words += ["console=tty0", "console=hvc0"] if options.uart == "virtio" else ["console=ttyS0"]
    if options.guest == "linux":
        words.append("loglevel=4")
    if options.root == "debian" and options.guest == "linux":
        words.append("root=/dev/trident")
    if options.window and options.linux_like:
        words.append("trident.window={}x{}".format(*options.window))
    if options.append:
        words.append(options.append)
    if options.run and options.linux_like:
        words.append(f"trident.number={options.number}")
        words.append("trident.run=" + base64.b64encode(os.fsencode(options.run)).decode())
    elif options.run and options.guest != "uboot":
        words.append("run=" + options.run)
    line = " ".join(words)
    most = COMMAND_LINE_MAX if options.linux_like else BOOT_ARGUMENTS_MAX
    if len(os.fsencode(line)) >= most:
        raise Refusal(f"APPEND and RUN together make a command line of {len(line)} bytes: "
                      f"shorten them to less than {most}.")
    return line


def trident_options(options):
    """What the VMM reads from opt/org.trident/options."""
    return (f"mem={options.mem}\nuart={options.uart}\ndisk={options.disk}\n"
            f"disk_model={options.disk_model}\npatch={options.patch}\n"
            f"shadow={','.join(options.shadow)}\nwatch={int(options.watch)}\nplic={options.plic}\n"
            f"eager={int(options.eager)}\ntimes={int(options.times)}\n"
            f"ablate={','.join(options.ablate) or 'none'}\n"
            f"trace={options.trace_max if options.trace else 0}\n")


def disk_file(options):
    """Where the disk's bytes are. With DISK_ERROR some sectors fail (QEMU's docs/devel/blkdebug.rst):
    ENOSPC only when written, as on a full file system; EIO always."""
    path = escape(options.disk_img)
    if options.disk_latency:
        return (f"file.driver=null-co,file.size={os.path.getsize(options.disk_img)},"
                f"file.read-zeroes=on,file.latency-ns={options.disk_latency}")
    driver = file_driver(options.disk_img)
    if not options.disk_errors:
        return f"file.driver={driver},file.filename={path}"
    words = ["file.driver=blkdebug", f"file.image.driver={driver}", f"file.image.filename={path}"]
    for i, (sector, number) in enumerate(options.disk_errors):
        rule = f"file.inject-error.{i}"
        words += [f"{rule}.event=none", f"{rule}.sector={sector}", f"{rule}.errno={number}"]
        words += [f"{rule}.iotype=write"] if number == errno.ENOSPC else []
    return ",".join(words)


def arguments(options, folder, console):
    """QEMU's whole command line. folder: for the sockets and files of this run.
    console: arguments that say where the guest's console goes."""
    line = command_line(options)
    room = 0 if options.native else max(VMM_ROOM, options.mem // 50 + VMM_NEED)
    ram = options.mem + (room + (2 << 20) - 1) // (2 << 20) * (2 << 20)
    cpu = (NATIVE_CPU if options.native else VMM_CPU)[options.mmu]
    drive = (f"{disk_file(options)},if=none,id=disk0,format=raw,werror=report,"
             f"rerror=report,readonly={'on' if options.disk_ro else 'off'}")
    args = [
        QEMU, "-M", "virt", "-smp", "1", "-cpu", "rv64,h=false" + cpu, "-m", f"{ram >> 20}M",
        "-bios", "default", "-global", "virtio-mmio.force-legacy=false",
        "-display", "none", "-nic", "none",
        "-drive", drive, "-device", "virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0",
        # Stopped until the runner hears its events.
        "-S", "-chardev", f"socket,id=qmp,path={escape(folder)}/qmp", "-mon", "chardev=qmp,mode=control",
        *console,
    ]
    if options.icount:
        args += ["-icount", "shift=0"]
    if options.native:
        args += ["-kernel", options.kernel]
        args += ["-initrd", options.initrd] if options.initrd else []
        args += ["-append", line] if line else []
    else:
        args += vmm_arguments(options, folder, line)
    return args + options.qemu


def gdb_arguments(folder):
    """A gdb's way in."""
    return ["-chardev", f"socket,id=gdb,path={escape(folder)}/gdb,server=on,wait=off", "-gdb", "chardev:gdb"]


def debug_arguments(folder):
    """A gdb's way in, and a console apart from its terminal."""
    return ["-chardev", "pty,id=console", "-serial", "chardev:console", "-monitor", "none",
            *gdb_arguments(folder)]


def vmm_address(options):
    """Where the VMM is after it has moved: in its direct map, above the guest's RAM."""
    return MAP_OFFSET[options.mmu] + RAM_BASE + options.mem


def vmm_arguments(options, folder, line):
    files = {"kernel": options.kernel, "initrd": options.initrd}
    for name, text in (("append", line), ("options", trident_options(options))):
        if text:
            files[name] = os.path.join(folder, name)
            with open(files[name], "wb") as file:
                file.write(os.fsencode(text))
    args = ["-kernel", TRIDENT]
    for name, path in files.items():
        if path:
            args += ["-fw_cfg", f"name=opt/org.trident/{name},file={escape(path)}"]
    return args + [
        "-device", "virtio-serial-device,max_ports=1,bus=virtio-mmio-bus.7",
        "-chardev", f"socket,id=ctl,path={escape(folder)}/ctl", "-device", "virtconsole,chardev=ctl",
    ]

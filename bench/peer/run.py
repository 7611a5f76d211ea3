"""Runs KVM as a peer: the same workloads natively and in a guest of KVM on the same QEMU.

  bench/peer/run            writes build/peer-kvm.json (docs/peer.schema.json) and prints the table
  bench/peer/run --docs     only puts the tables of these files into docs/peer.md

Natively, under KVM, and natively again; of the native times the smaller one counts. KVMTOOL= is a
static kvmtool for riscv64 that is used instead of QEMU in the host; TIMEOUT= seconds for one boot.
ICOUNT=1: one instruction is one nanosecond, so what never waits takes as many ns as the whole machine
retires instructions, whatever else the host does. Writes build/peer-kvm-icount.json.
"""

import base64
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile

from scripts.runner import options as front_door, report
from ..workloads import debian, marks, nano, progress

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
RESULTS = {False: "build/peer-kvm.json", True: "build/peer-kvm-icount.json"}
PAGE = "docs/peer.md"
BEGIN, END = "<!-- begin: bench/peer/run --docs{} -->", "<!-- end -->"
ROOT = "build/debian-kvm/root.img"
IMAGE = "build/linux/Image"
INITRD = "build/workloads/trixie.cpio.gz"
MEM = 512  # MiB of the measured guest
HOST_MEM = "1536M"
# H on; the same address mode for host, guest and native; and counters that overflow (Sscofpmf),
# without which KVM gives its guest no performance unit: docs/peer.md.
HOST_CPU = "-cpu rv64,sv48=off,sv57=off,sscofpmf=on"
DISKS = "curves queue_depth buffer_size"
RUNS = {"virtio": f"dmesg | grep -m 1 'crng init' || true; sleep 1; nano; {DISKS}",
        "emulated": f"sleep 1; nano pread_4k pread_1m console_line; {DISKS}"}
# What never waits for a device: counted with ICOUNT=1.
RUN_COUNTED = ("sleep 1; nano null_syscall read_1 write_1 pipe_rtt ctx_switch page_fault mmap_16 fork_exit "
               "fork_exec signal")
NATIVE_SECONDS, KVM_SECONDS = 180, 1500
NATIVE, KVM = "native", "under KVM"  # the boots' names
PLAN = [(NATIVE, 45), (KVM, 400), (NATIVE, 45)]  # and their seconds on a usual computer
DEVICES = {"virtio": ("virtio-blk", "virtio console"), "emulated": ("emulated AHCI", "emulated 16550A")}
BOOT = re.compile(r"^trident-linux: (\S+) up ([\d.]+)s disk", re.MULTILINE)
CRNG = re.compile(r"^\[ *([\d.]+)\].*crng init done", re.MULTILINE)


def counted():
    """Times are numbers of instructions."""
    return os.environ.get("ICOUNT") == "1"


def boot(name, seconds, **settings):
    """One native run of the front door (the machine without Trident); what it printed."""
    names = set(os.environ.get("OPTIONS", "").split()) | {"GIVEN"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    timeout = os.environ.get("TIMEOUT") or str(seconds)
    environment.update(DEVICE="native", GUEST="linux", TIMEOUT=timeout,
                       ICOUNT="01"[counted()], **settings)
    return marks.run(front_door.parse(environment), marks.Kept, name).text


def take(text, strategy, disk, uart):
    """Rows of what the programs printed in one guest."""
    text = text.replace("\r", "")
    rows, found = [], BOOT.search(text)
    if not found:
        raise marks.Failure(f"{strategy}: the guest did not come to its init", text)
    if not counted():
        rows.append(("boot", 1, float(found[2]) * 1e9))
    for program in ("nano",) if counted() else ("nano", "curves"):
        part = nano.result_of(program).search(text)
        if not part:
            raise marks.Failure(f"{strategy}: {program} printed no result", text)
        rows += [(f"{program}-{row['op']}", row["n"], row["ns"]) for row in json.loads(part[1])]
    return [{"strategy": strategy, "disk": disk, "uart": uart, "workload": name, "n": n, "ns": ns}
            for name, n, ns in rows]


def make_pattern(file):
    for number in range(nano.DISK_MIB):
        file.write(bytes([number]) * (1 << 20))


def run_native():
    with tempfile.TemporaryDirectory(prefix="trident-peer-") as folder:
        with open(f"{folder}/disk.img", "wb") as file:
            make_pattern(file)
        text = boot(NATIVE, NATIVE_SECONDS, MEM=f"{MEM}M", INITRD=INITRD, DISK_IMG=f"{folder}/disk.img",
                    RUN=RUN_COUNTED if counted() else RUNS["virtio"])
    return take(text, "native", "virtio-blk", "16550A")


def check_kvmtool(path):
    """A static ELF for 64-bit RISC-V, or a Refusal."""
    front_door.check_readable("KVMTOOL", path)
    with open(path, "rb") as file:
        head = file.read(4096)
    good = head[:5] == b"\x7fELF\x02" and struct.unpack_from("<H", head, 18)[0] == 243
    if not good:
        raise front_door.Refusal(f"KVMTOOL={path} is not a program for 64-bit RISC-V: build it for riscv64.")
    table, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if any(struct.unpack_from("<I", head, table + i * size)[0] == 3 for i in range(count)):
        raise front_door.Refusal(f"KVMTOOL={path} is linked dynamically: build it with LDFLAGS=-static.")


def run_kvm(kvmtool):
    """(rows, facts) of the host's two guests."""
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="trident-peer-", dir="build") as folder:
        disk = f"{folder}/disk.img"
        names = {"host.sh": f"{here}/host.sh", "kvm.ko": "build/debian-kvm/kvm.ko", "Image": IMAGE,
                 "guest.cpio.gz": INITRD, **({"kvmtool": kvmtool} if kvmtool else {})}
        for name, path in names.items():
            os.symlink(os.path.abspath(path), f"{folder}/{name}")
        debian.make_disk(ROOT, disk, [f"{folder}/{name}" for name in names])
        offset = os.path.getsize(ROOT)
        with open(disk, "r+b") as file:
            file.seek(offset)
            make_pattern(file)
        devices = {name: DEVICES[name] for name in (["virtio"] if counted() else DEVICES)}
        words = [base64.b64encode((RUN_COUNTED if counted() else RUNS[name]).encode()).decode()
                 for name in devices]
        text = boot(KVM, KVM_SECONDS, MEM=HOST_MEM, ROOT="debian", DISK_IMG=disk, QEMU=HOST_CPU,
                    RUN=f"bash /root/host.sh {offset} {MEM} {' '.join(words)}")
        if "hypervisor extension available" not in text:
            raise marks.Failure("the host's processor has no H extension", text)
        if kvmtool:
            devices = {"virtio": ("virtio-blk", "emulated 16550A")}
        rows, outputs = [], {}
        for name, (model, uart) in devices.items():
            outputs[name] = debian.read_file(disk, f"{name}.out")
            rows += take(outputs[name], f"kvm-{name}", model, uart)
        seeded = CRNG.search(outputs["virtio"].replace("\r", ""))
        facts = {"vmm": debian.read_file(disk, "vmm.out").strip(),
                 "kernel": BOOT.search(outputs["virtio"])[1],
                 "crng_ready_seconds": float(seeded[1]) if seeded else None}
    return rows, facts


def measure(kvmtool):
    host, load = report.host_facts(None), round(os.getloadavg()[0], 2)
    before = run_native()
    kvm, facts = run_kvm(kvmtool)
    after = {row["workload"]: row["ns"] for row in run_native()}
    native = [{**row, "ns": min(row["ns"], after[row["workload"]])} for row in before]
    qemu = subprocess.run(["qemu-system-riscv64", "--version"], capture_output=True, text=True, check=False)
    return {"schema": 1, "peer": "kvm", "icount": counted(), "commit": host["commit"], "opensbi": host["opensbi"],
            "qemu": qemu.stdout.split("\n")[0], "mem": MEM << 20,
            "load": load, **facts, "rows": native + kvm}


# --- The table. --------------------------------------------------------------------------------------

def show(ns):
    if counted():
        return f"{ns:,.0f}".replace(",", "'")
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 100 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.0f} ns"


def table(result):
    """A Markdown table: workloads down, native and each kind of KVM's devices across."""
    cell = {(row["workload"], row["strategy"]): row for row in result["rows"]}
    strategies = list(dict.fromkeys(row["strategy"] for row in result["rows"] if row["strategy"] != "native"))
    devices = {row["strategy"]: f"{row['disk']}, {row['uart']}" for row in result["rows"]}
    lines = ["| workload | native | " + " | ".join(f"{name} ({devices[name]}) | ratio" for name in strategies)
             + " |", "| --- | ---: |" + " ---: | ---: |" * len(strategies)]
    ratios = {name: [] for name in strategies}
    for workload in dict.fromkeys(row["workload"] for row in result["rows"]):
        native = cell[workload, "native"]["ns"]
        line = f"| `{workload}` | {show(native)} |"
        for name in strategies:
            row = cell.get((workload, name))
            if row:
                ratios[name].append(row["ns"] / native)
            line += f" {show(row['ns'])} | {row['ns'] / native:.3g} |" if row else " - | - |"
        lines.append(line)
    lines.append("| median of the ratios | |" + "".join(f" | {statistics.median(ratios[name]):.3g} |"
                                                        for name in strategies))
    return "\n".join(lines)


def write_docs(result):
    seeded = result["crng_ready_seconds"]
    said = "" if seeded is None else f"; the guest's crng was ready {seeded:g} s after its start"
    text = (f"`make peer{' ICOUNT=1' if result['icount'] else ''}`, commit {result['commit']}: {result['qemu']}; in the host {result['vmm']}; kernel "
            f"{result['kernel']} as native, host and guest; load {result['load']} at the start{said}.\n\n"
            + table(result))
    begin = BEGIN.format(" (ICOUNT=1)" if result["icount"] else "")
    with open(PAGE, encoding="utf-8") as file:
        before, _, rest = file.read().partition(begin)
    with open(f"{PAGE}.new", "w", encoding="utf-8") as file:
        file.write(f"{before}{begin}\n{text}\n{END}{rest.partition(END)[2]}")
    os.replace(f"{PAGE}.new", PAGE)


def main(arguments):
    os.chdir(TOP)
    try:
        if arguments == ["--docs"]:
            for path in filter(os.path.exists, RESULTS.values()):
                with open(path, encoding="utf-8") as file:
                    result = json.load(file)
                os.environ["ICOUNT"] = "01"[result["icount"]]
                write_docs(result)
            return 0
        if arguments:
            print(__doc__, file=sys.stderr)
            return 2
        kvmtool = os.environ.get("KVMTOOL")
        if kvmtool:
            check_kvmtool(kvmtool)
        marks.plan = progress.Plan(PLAN)
        result = measure(kvmtool)
        report.write_json(RESULTS[counted()], result)
        print(table(result))
    except front_door.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    except marks.Failure as failure:
        print(f"peer: {marks.explain(failure)}", file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"peer: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

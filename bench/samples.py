"""One run of one machine -> a sample for each of its cells (docs/results.schema.json)."""

import os
import re
import tempfile

from scripts.runner import histogram
from . import cells, measure
from .measure import Failed
from .workloads import debian, marks, nano

BENCH_LINE = re.compile(r"^bench (?:(?P<disk>disk (?:read|write)): (?P<n>\d+) requests of (?P<bytes>\d+) "
                        r"bytes, depth (?P<depth>\d+)|(?P<other>uart|input|interrupt): (?P<m>\d+) \w+), "
                        r"(?P<ticks>\d+) ticks(?:, (?P<instructions>\d+) instructions)?$", re.MULTILINE)
TRAP_LINE = re.compile(r"^bench trap: (.+): (\d+) rounds(?:, (-?\d+) instructions)?, (-?\d+) ticks$",
                       re.MULTILINE)
NS_PER_TICK = 100  # QEMU's virt board: 10 MHz

# Of the statistics' `memory`: what comes again now and then, so that two runs must have as many, and what one costs
# at most, in instructions; how much of a result may be for that, and in how many operations it may come once more;
# and what is about the guest's code alone, since some workloads are about the rest.
AGAIN = {"traces": 3000, "holds": 2500}
NEGLIGIBLE = 0.0025
SELDOM = 32
OF_CODE = ("patched_sites", "trampolines", "dropped_patches", "inline_lost", "hints", "traces")


def sample(operations, **known):
    fields = dict.fromkeys(("ticks", "ns", "instructions", "traps", "registers", "devices", "memory", "histograms"))
    return {"operations": operations, **fields, **known}


# --- The VMM's statistics ------------------------------------------------------------------------------


REGISTER = re.compile(r"(\w+) ?(.+)")  # of a device, by name or by offset: core/observe/names.c


def register_of(row):
    """(device, register) of an exit that is an access to a register; else None."""
    if row["class"] == "mmio":
        return REGISTER.fullmatch(row["detail"]).groups()
    return ("plic", row["detail"]) if row["class"] == "plic" else None


def counters(statistics):
    """traps, registers, devices, memory and histograms of one stretch; natively there is nothing."""
    if statistics is None:
        return {"traps": {"total": 0}, "registers": {}, "devices": {}, "memory": {}, "histograms": {}}
    traps, registers = {"total": 0}, {}
    rows = [row for row in statistics["exits"]  # but the mark's own, and a wait that has not ended
            if "Trident." not in row["detail"] and row["count"]]
    for row in rows:
        traps[row["class"]] = traps.get(row["class"], 0) + row["count"]
        traps["total"] += row["count"]
        place = register_of(row)
        if place:
            device = registers.setdefault(place[0], {})
            device[place[1]] = device.get(place[1], 0) + row["count"]
    devices = {name: {key: value for key, value in row.items() if isinstance(value, int)}
               for name, row in statistics["devices"].items()}
    memory = {key: value for key, value in statistics["memory"].items() if isinstance(value, int)}
    histograms = {name: {str(entry): count for entry, count in entries.items()}
                  for name, entries in histogram.of_classes({"exits": rows}).items()}
    return {"traps": traps, "registers": registers, "devices": devices, "memory": memory, "histograms": histograms}


def subtract(more, less):
    """What one stretch has more than another, number by number; zeros left out but for `total`."""
    result = {}
    for key in {**more, **less}:
        a, b = more.get(key), less.get(key)
        if isinstance(a, dict) or isinstance(b, dict):
            result[key] = subtract(a or {}, b or {})
        elif (a or 0) != (b or 0) or key == "total":
            result[key] = (a or 0) - (b or 0)
    return result


def subtract_all(more, less):
    """The same of two runs with their instructions."""
    return {key: value - less[key] if key == "instructions" else subtract(value, less[key])
            for key, value in more.items()}


# --- Our guest -----------------------------------------------------------------------------------------


def steps(machine_cells, turn=0):
    """[(cell, operations)] of the boot's commands. Counting: n, which the VMM may learn from; then n and 2 n,
    whose difference is n operations without what is done once; such a pair once more for each turn that was not
    enough. But only 2 n, after another 2 n, where it is chance what is done together, since of two such runs
    the difference may be anything. Timing: several passes over all workloads, so that what the host does for a
    moment meets one pass of a workload, and not all."""
    first = machine_cells[0]
    if first.method == "count":
        times = (2, 2) if first.machine[2] == "deep" else (1,) + (1, 2) * (1 + turn)
        return [(cell, n * cell.operations) for cell in machine_cells for n in times]
    return [(cell, cell.operations) for _ in range(cells.PASSES) for cell in machine_cells
            for _ in range(cell.workload.repeat)]


def matches(cell, line, operations):
    params = cell.workload.params
    if params["kind"] == "disk":
        return (line["disk"], line["n"], line["bytes"], line["depth"]) == (
            f"disk {params['op']}", str(operations), str(params["bytes"]), str(params["depth"]))
    names = {"console-out": "uart", "console-in": "input", "interrupt": "interrupt"}
    return (line["other"], line["m"]) == (names[cell.workload.name], str(operations))


def take_time(cell, lines):
    """The middle one of the passes; each is the sum of its repetitions."""
    each = cell.workload.repeat
    passes = [sum(int(line["ticks"]) for line in lines[at:at + each]) for at in range(0, len(lines), each)]
    ticks = sorted(passes)[len(passes) // 2]
    return sample(cell.operations * each, ticks=ticks, ns=ticks * NS_PER_TICK, more={"passes": passes})


def learned(before, less, more, operations):
    """{counter: by how much} of what was learned that keeps two runs of a workload from being compared, from
    the end of the run before them to the end of the second; empty if nothing was."""
    one, two = less["memory"], more["memory"]
    found = {name: two[name] - one[name] for name in AGAIN if two[name] != one[name]}
    price = sum(AGAIN[name] * abs(by) for name, by in found.items())
    seldom = sum(map(abs, found.values())) * SELDOM <= operations
    if seldom and price <= NEGLIGIBLE * (more["instructions"] - less["instructions"]):
        found = {}
    if two["learned"] != before["memory"]["learned"]:
        found["learned"] = two["learned"] - before["memory"]["learned"]
    return found


def count_run(line, statistics):
    return {"instructions": int(line["instructions"]), **counters(statistics)}


def take_count(cell, runs):
    """The difference of a run of n and a later one of 2 n between which nothing was learned, the last of such,
    else of the last two; or the last run alone."""
    if cell.machine[2] == "deep":
        return sample(2 * cell.operations, **runs[-1])
    pairs = [(runs[a], runs[b], cell.patch and learned(runs[a - 1], runs[a], runs[b], cell.operations))
             for b in range(len(runs) - 1, 0, -2) for a in range(b - 1, 0, -2)]
    less, more, why = next((pair for pair in pairs if not pair[2]), pairs[0])
    return sample(cell.operations, **subtract_all(more, less), **({"learned": why} if why else {}))


def take_pairs(cell, pairs):
    if cell.method == "time":
        return take_time(cell, [line for line, _ in pairs])
    if not all(line["instructions"] for line, _ in pairs):
        return "the guest's counter of instructions is a clock"
    return take_count(cell, [count_run(*pair) for pair in pairs])


def take_lines(machine_cells, seen, turn=0):
    """{id: sample, or why there is none} from the guest's lines and marks, which are in order."""
    lines = list(BENCH_LINE.finditer(seen["console"]))
    virtual = machine_cells[0].patch is not None
    marked = seen["marks"] if virtual else [None] * len(lines)
    if len(marked) != len(lines):
        raise Failed(f"the VMM sent {len(marked)} statistics for {len(lines)} workloads")
    mine = {cell.id: [] for cell in machine_cells}  # [(line, statistics)]; None: it is not whole
    at = 0
    for cell, operations in steps(machine_cells, turn):
        if at < len(lines) and matches(cell, lines[at], operations):
            if mine[cell.id] is not None:
                mine[cell.id].append((lines[at], marked[at]))
            at += 1
        else:
            mine[cell.id] = None
    return {cell.id: take_pairs(cell, mine[cell.id]) if mine[cell.id] else
            seen["why"] or "the guest did not carry it out" for cell in machine_cells}


def spins(machine_cells):
    """Whether the guest spins, and the disk answers late: for counts that must repeat."""
    return machine_cells[0].method == "count" and machine_cells[0].machine[2] != "deep"


def commands_of(machine_cells, turn=0):
    """What the guest is to carry out in this boot. Where it counts, it first prints so much that the VMM has learned
    how the console is used: otherwise it would, at some time, between two runs."""
    return (["bench spin", "help", "help"] if spins(machine_cells) else []) + [
        cell.workload.command.format(n=n) for cell, n in steps(machine_cells, turn)]


def run_bench(machine_cells, disk, turn):
    first = machine_cells[0]
    options = measure.parse(first.options(), RUN="; ".join(commands_of(machine_cells, turn)), DISK_IMG=disk)
    if spins(machine_cells):
        options.disk_latency = cells.LATENCY_NS
    pause = cells.INPUT_SECONDS if first.method == "count" else 0
    seen = measure.run_guest(options, pause=pause)
    return take_lines(machine_cells, seen, turn), seen


def run_trap(machine_cells, disk, turn):
    """`bench trap`, once more for each turn that was not enough; the last one counts."""
    options = measure.parse(machine_cells[0].options(), RUN="; ".join(["bench trap"] * (1 + turn)), DISK_IMG=disk)
    seen = measure.run_guest(options)
    lines = TRAP_LINE.findall(seen["console"])[-len(cells.OPERATIONS):]
    marked = seen["marks"][-len(lines):] if seen["marks"] else [None] * len(lines)
    rows = {}
    for (name, rounds, instructions, _), statistics in zip(lines, marked):
        if instructions:
            memory = statistics["memory"] if statistics else {}
            why = {key: memory[key] for key in OF_CODE if memory.get(key)}
            rows[name] = sample(int(rounds), instructions=int(instructions), **({"learned": why} if why else {}))
    return {cell.id: rows.get(cell.workload.params["name"],
                              seen["why"] or "the guest did not carry it out, or counted no instructions")
            for cell in machine_cells}, seen


# --- Linux ---------------------------------------------------------------------------------------------


def boot_options(cell):
    return {**cell.options(), "RUN": "poweroff -f", "APPEND": cells.LINUX_WORDS}


def run_boot(machine_cells, disk, _turn):
    cell, = machine_cells
    options = {**boot_options(cell), "DISK_IMG": disk}
    if cell.method == "boot-time":
        measure.parse(options)  # a Refusal's sentence instead of hyperfine's
        seconds = measure.time_process(options)
        return {cell.id: sample(1, ns=seconds * 1e9)}, None
    seen = measure.run_guest(measure.parse(options), counted=True)
    if seen["why"]:
        return {cell.id: seen["why"]}, seen
    statistics = seen["statistics"] if cell.patch else None
    return {cell.id: sample(1, instructions=seen["instructions"], **counters(statistics))}, seen


def nano_sample(cell, row, stretches):
    n, name = row["n"], row["op"]
    if cell.method == "time":
        return sample(n, ns=row["ns"] * n)
    if not cell.patch:
        return sample(n, instructions=round(row["instructions"] * n), **counters(None))
    both = [stretches[name, what] for what in ("with", "without")]
    total = [sum(part[who]["instructions"] for who in ("vmm", "idle", "guest")) for part in both]
    return sample(n, instructions=total[0] - total[1], **subtract(*map(counters, both)))


def run_nano(machine_cells, _disk, _turn):
    first = machine_cells[0]
    counted = first.method == "count"
    wanted = [cell.workload.params["name"] for cell in machine_cells]
    words = ["nano", "--marks"] + ["--counted"] * counted + wanted
    with tempfile.TemporaryDirectory(prefix="trident-nano-") as folder:
        path = f"{folder}/disk.img"
        with open(path, "wb") as file:
            for number in range(nano.DISK_MIB):
                file.write(bytes([number]) * (1 << 20))
        # In the first second the kernel does what it has put off while it booted.
        options = measure.parse(first.options(), RUN="sleep 1; " + " ".join(words), DISK_IMG=path,
                                INITRD="build/workloads/trixie.cpio.gz",
                                TIMEOUT=str(nano.TIMEOUT))
        seen = measure.run_guest(options, kind=measure.MarkedRun)
    found = nano.RESULT.search(seen["console"])
    if seen["why"] or not found:
        return dict.fromkeys((cell.id for cell in machine_cells),
                             seen["why"] or "the guest printed no result"), seen
    rows = {row["op"]: row for row in measure.json.loads(found[1])}
    return {cell.id: nano_sample(cell, rows[cell.workload.params["name"]], seen["stretches"])
            for cell in machine_cells}, seen


def linux_parser(cell):
    def parse(**more):
        return measure.parse(cell.options(), **more)
    return parse


def run_fio(machine_cells, _disk, _turn):
    facts = debian.fio(linux_parser(machine_cells[0]), quick=True)
    jobs = {job["job"]: job for job in facts["jobs"]}
    result = {}
    for cell in machine_cells:
        job = jobs[cell.workload.params["name"]]
        result[cell.id] = sample(job["requests"], ns=job["requests"] / job["iops"] * 1e9,
                                 more={key: job[key] for key in ("iops", "bytes_per_second", "latency_ns")})
    return result, None


def run_compile(machine_cells, _disk, _turn):
    cell, = machine_cells
    os.makedirs("build/workload", exist_ok=True)
    facts = debian.compile_once(linux_parser(cell), functions=60)
    return {cell.id: sample(1, ns=facts["seconds"] * 1e9,
                            more={"object_sha256": facts["object_sha256"]})}, None


PROGRAMS = {"bench": run_bench, "deep": run_bench, "operation": run_trap, "boot": run_boot,
            "nano": run_nano, "fio": run_fio, "compile": run_compile}


def take(machine_cells, disk, turn=0):
    """Runs these cells, which are of one machine: {id: sample, or why it failed}, console, facts. turn: how often
    what was counted was in vain, as the VMM still learned."""
    program = PROGRAMS[machine_cells[0].machine[2]]
    try:
        result, seen = program(machine_cells, disk, turn)
    except (Failed, measure.front_door.Refusal, marks.Failure) as failed:
        why = failed.args[0]
        console = failed.args[1] if len(failed.args) > 1 else ""
        return dict.fromkeys((cell.id for cell in machine_cells), why), console, {}
    seen = seen or {"why": "", "console": "", "qemu": None}
    if seen["why"] and not any(isinstance(value, str) for value in result.values()):
        result = dict.fromkeys(result, seen["why"])  # all is there, and yet the run ended badly
    return result, seen["console"], {"qemu": seen["qemu"]}

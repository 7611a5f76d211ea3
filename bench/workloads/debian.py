"""The workloads that are programs of Debian's: fio (twice), stress-ng, compile.

Each is a script of guest/, which is put into a copy of the root image, runs in the guest between two
marks, and leaves its result in files there, which are read from the image after the run. Neither
needs root rights: debugfs (e2fsprogs) does both.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter

from scripts.runner import report
from . import marks, program

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = "build/debian/root.img"
ROOT_GCC = "build/debian-gcc/root.img"
SCRATCH = 64 << 20  # behind the file system: what fio reads and writes
TIMEOUT = 900
DEPTHS = (1, 8, 32)  # of guest/depth.sh


def debugfs(image, commands, *options):
    tool = shutil.which("debugfs") or "/sbin/debugfs"
    done = subprocess.run([tool, *options, "-f", "-", image], input="\n".join(commands) + "\n",
                          capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


def make_disk(template, disk, files):
    """A copy of the template with files (of the host) in its /root, and room behind it."""
    subprocess.run(["cp", "--sparse=always", template, disk], check=True)
    os.truncate(disk, os.path.getsize(disk) + SCRATCH)
    debugfs(disk, ["cd /root", *(f"write {path} {os.path.basename(path)}" for path in files)], "-w")


def read_file(disk, name):
    with tempfile.NamedTemporaryFile(prefix="trident-") as file:
        debugfs(disk, [f"dump /root/{name} {file.name}"])
        return file.read().decode(errors="replace")


def boot(parse, template, script, command, results, files=(), timeout=TIMEOUT):
    """Runs a command in a guest that has guest/SCRIPT.sh: the session, and the files it left."""
    with tempfile.TemporaryDirectory(prefix="trident-workload-", dir="build") as folder:
        disk = f"{folder}/disk.img"
        make_disk(template, disk, [f"{HERE}/guest/{script}.sh", f"{HERE}/guest/marks.sh", *files])
        options = parse(ROOT="debian", DISK_IMG=disk, ICOUNT="0", RUN=command)
        options.timeout = options.timeout or timeout
        run = marks.run(options)
        return run, [read_file(disk, name) for name in results]


def stretch(run, name):
    if run.options.native:
        return None
    try:
        return run.stretches[name, "all"]
    except KeyError:
        raise marks.Failure(f"the guest did not come to the marks of {name}") from None


def facts_of(script, run, stretches):
    """{workload, device, patch ...}: the traps of these stretches together."""
    options = run.options
    facts = {"workload": script, "device": options.device, "patch": None, "traps": None,
             "device_traps": None, "exits": None}
    if not options.native:
        classes, accesses = Counter(), 0
        for statistics in stretches:
            of_stretch, of_devices = marks.exits(statistics)
            classes.update(of_stretch)
            accesses += of_devices
        facts.update(patch=options.patch, traps=sum(classes.values()), device_traps=accesses,
                     exits=dict(classes))
    return facts


def run_script(parse, template, script, arguments, results, files=(), timeout=TIMEOUT):
    """Runs guest/SCRIPT.sh between marks: {workload, device, patch ...}, and the files it left."""
    words = " ".join(str(word) for word in arguments)
    run, texts = boot(parse, template, script, f". /root/marks.sh; mark begin {script}; "
                      f"bash /root/{script}.sh {words}; mark end {script}", results, files, timeout)
    return facts_of(script, run, [stretch(run, script)]), texts


# --- fio. --------------------------------------------------------------------------------------------

def fio_row(job, common):
    """One job: what it was, and how its requests went (those of the verification are not counted)."""
    given = {**common, **job["job options"]}
    kind = "read" if "read" in given["rw"] else "write"
    figures = job[kind]
    return {"job": job["jobname"], "rw": given["rw"], "bs": given["bs"], "depth": int(given["iodepth"]),
            "requests": figures["total_ios"], "iops": round(figures["iops"], 1),
            "bytes_per_second": figures["bw_bytes"], "latency_ns": round(figures["lat_ns"]["mean"]),
            "error": job["error"]}


def fio(parse, quick):
    size = "2m" if quick else "16m"
    facts, (text,) = run_script(parse, ROOT, "fio", [size], ["fio.json"], [f"{HERE}/guest/jobs.fio"])
    try:
        result = json.loads(text)
    except ValueError:
        raise marks.Failure("fio left no result that can be read") from None
    facts["jobs"] = [fio_row(job, result["global options"]) for job in result["jobs"]]
    if any(job["error"] for job in facts["jobs"]):
        raise marks.Failure("fio found an error: " + json.dumps(facts["jobs"]))
    return facts


# --- depth. ------------------------------------------------------------------------------------------

def of_one(few, many, requests):
    """{class: traps of one request}, and its device traps: `requests` more of them made the difference."""
    (few_classes, few_devices), (many_classes, many_devices) = marks.exits(few), marks.exits(many)
    classes = {name: round((count - few_classes.get(name, 0)) / requests, 3)
               for name, count in many_classes.items()}
    return classes, round((many_devices - few_devices) / requests, 3)


def reads_per_second(text, requests):
    try:
        job = json.loads(text)["jobs"][0]
    except ValueError:
        raise marks.Failure("fio left no result that can be read") from None
    if job["error"] or job["read"]["total_ios"] != requests:
        raise marks.Failure(f"fio made {job['read']['total_ios']} reads of {requests}, error {job['error']}")
    return round(job["read"]["iops"], 1)


def depth(parse, quick):
    few, many = (128, 1152) if quick else (512, 4608)
    run, texts = boot(parse, ROOT, "depth", f"bash /root/depth.sh {few} {many}",
                      [f"depth-{under_way}-{many}.json" for under_way in DEPTHS])
    rows, stretches = [], []
    for under_way, text in zip(DEPTHS, texts):
        row = {"depth": under_way, "requests": many - few, "traps": None, "device_traps": None,
               "exits": None, "iops": reads_per_second(text, many)}
        pair = [stretch(run, f"{under_way}-{count}") for count in (few, many)]
        stretches += pair
        if not run.options.native:
            classes, accesses = of_one(*pair, many - few)
            row.update(traps=round(sum(classes.values()), 3), device_traps=accesses, exits=classes)
        rows.append(row)
    return {**facts_of("depth", run, stretches), "depths": rows}


# --- stress-ng. --------------------------------------------------------------------------------------

STATUS = {0: "passed", 3: "no resources", 4: "not implemented", 124: "no end in time"}


def excluded():
    """Stressor -> why it cannot run in this guest, found natively (see the file)."""
    with open(f"{HERE}/stress-ng.txt", encoding="utf-8") as lines:
        rows = (line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
        return {name: reason.strip() for name, reason in rows}


def stress_ng(parse, seconds):
    """seconds: how long the stressors run in all; 0: every one, those too that natively cannot."""
    without = {} if seconds == 0 else excluded()
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        with open(f"{folder}/without", "w", encoding="ascii") as file:
            file.write("".join(f"{name}\n" for name in without))
        facts, texts = run_script(parse, ROOT, "stress-ng", [seconds], ["stress-ng.out", "stress-ng.log"],
                                  [f"{folder}/without"], TIMEOUT + 10 * (seconds or 600))
    rows = [line.split() for line in texts[0].splitlines()]
    facts["stressors"] = [{"name": name, "status": STATUS.get(int(status), f"failed ({status})"),
                           "seconds": float(taken)} for name, status, taken in rows]
    facts["excluded"] = [{"name": name, "reason": reason} for name, reason in without.items()]
    bad = [row for row in facts["stressors"] if row["status"] != "passed"]
    if not facts["stressors"]:
        raise marks.Failure("stress-ng ran nothing")
    if bad and seconds:
        raise marks.Failure(f"stressors that run natively do not here: {bad}\n{texts[1][-4000:]}")
    return facts


# --- compile. ----------------------------------------------------------------------------------------

def compile_once(parse, functions):
    with tempfile.TemporaryDirectory(prefix="trident-") as folder:
        source = f"{folder}/program.c"
        text = program.make(functions)
        with open(source, "w", encoding="ascii") as file:
            file.write(text)
        facts, (result,) = run_script(parse, ROOT_GCC, "compile", [], ["compile.out"], [source])
    words = result.split()
    if len(words) < 4:
        raise marks.Failure("the compiler left no object")
    facts.update(lines=text.count("\n"), source_sha256=hashlib.sha256(text.encode()).hexdigest(),
                 object_sha256=words[0], object_bytes=int(words[1]), seconds=float(words[2]),
                 compiler=words[3])
    return facts


def compile_program(parser, device, quick):
    """Compiles; the object is native's, which is compiled too if that was not done before."""
    functions = 60 if quick else 200
    facts = compile_once(parser(device), functions)
    if device == "native":
        return facts
    path = "build/workload/compile-native.json"
    same = ("source_sha256", "compiler")
    native = None
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            native = json.load(file)
    if not native or any(native[key] != facts[key] for key in same):
        native = compile_once(parser("native"), functions)
        report.write_json(path, native)
    if native["object_sha256"] != facts["object_sha256"]:
        raise marks.Failure(f"the object ({facts['object_sha256']}) differs from native's "
                            f"({native['object_sha256']})")
    facts["native_object_sha256"] = native["object_sha256"]
    return facts

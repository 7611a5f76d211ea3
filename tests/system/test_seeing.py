"""make trace, make walk, make top: what they show is what happened."""

import collections
import html
import json
import os
import re
import subprocess
import time

import pexpect
import pytest

from scripts.runner import control, histogram, machine, session, top, walk, walk_steps, walk_text
from scripts.runner.options import Refusal
from . import front_door

NM = "riscv64-unknown-elf-nm"


# --- make trace ---------------------------------------------------------------------------------------


def exact(text):
    """Chrome's microseconds, as instructions."""
    whole, _, fraction = text.partition(".")
    assert len(fraction) == 3
    return int(whole + fraction)


def trace(folder, *options, run="disktest 64; uarttest"):
    """Runs `make trace`; the timeline, the statistics of the same run, and what was said."""
    picture, numbers = folder / "trace.json", folder / "stats.json"
    status, text = front_door.run([*options, f"RUN={run}", f"TRACE={picture}", f"STATS={numbers}",
                                   "TIMEOUT=60", "trace"])
    assert status == 0, text[-2000:]
    return (json.loads(picture.read_text(), parse_float=exact), json.loads(numbers.read_text()), text)


def slices(timeline, kind=None):
    return [event for event in timeline["traceEvents"]
            if event["ph"] == "X" and kind in (None, event["cat"])]


def assert_nested(timeline):
    """On each track two slices are apart, or one is inside the other."""
    tracks = collections.defaultdict(list)
    for event in slices(timeline):
        tracks[event["tid"]].append((event["ts"], -event["dur"], event["name"]))
    assert len(tracks) >= 5
    for track, rows in tracks.items():
        ends = []
        for begin, length, name in sorted(rows):
            while ends and ends[-1] <= begin:
                ends.pop()
            assert not ends or begin - length <= ends[-1], f"track {track}: {name} at {begin}"
            ends.append(begin - length)


def summed(rows):
    """class -> [count, instructions]"""
    total = collections.defaultdict(lambda: [0, 0])
    for name, count, instructions in rows:
        total[name][0] += count
        total[name][1] += instructions
    return dict(total)


@pytest.mark.parametrize("options", [
    ("UART=emulated", "PATCH=off"), ("DEVICE=emulated", "PATCH=cluster"),
    ("DEVICE=virtio", "PATCH=inline")],
    ids=" ".join)
def test_trace_adds_up_to_the_statistics(tmp_path, options):
    timeline, statistics, text = trace(tmp_path, *options)
    assert_nested(timeline)
    seen = summed((event["args"]["class"], 1, event["dur"]) for event in slices(timeline, "exit"))
    counted = summed((row["class"], row["count"], row["instructions"]) for row in statistics["exits"])
    assert seen == counted
    assert sum(event["dur"] for event in slices(timeline, "guest")) == statistics["guest"]["instructions"]
    handlers = slices(timeline, "handler")
    assert len(handlers) > 20 and not any("unfinished" in event["args"] for event in handlers)
    assert timeline["otherData"]["missing"] == 0 and "records after them" not in text
    names = {row["args"]["name"] for row in timeline["traceEvents"] if row["name"] == "thread_name"}
    assert {f"{name}: {device['strategy']}" for name, device in statistics["devices"].items()} <= names


def test_trace_shows_devices_and_handlers(tmp_path):
    timeline, statistics, _ = trace(tmp_path, "UART=emulated", "PATCH=ecall")
    calls = [event for event in slices(timeline, "emulate") if event["tid"] >= 6]
    device = [event["args"].get("direction") for event in calls]
    assert {"uart THR", "uart LSR", "disk QueueNotify"} <= {event["name"] for event in calls}
    assert not any(re.search(r"\+0x", event["name"]) for event in calls)
    rows = statistics["devices"].values()
    assert device.count("load") == sum(row["loads"] for row in rows)
    assert device.count("store") == sum(row["stores"] for row in rows)
    handlers = slices(timeline, "handler")
    injected = [event for event in timeline["traceEvents"] if event.get("cat") == "inject"]
    assert len(handlers) == len(injected) > 10
    assert {event["args"]["at"] for event in handlers} == {"trap_vector+0x0"}
    assert not any("unfinished" in event["args"] for event in handlers)
    functions = {event["name"] for event in slices(timeline, "guest")}
    assert {"vS trap_vector", "vS plic_interrupt"} <= functions


def test_trace_is_bounded(tmp_path):
    timeline, statistics, text = trace(tmp_path, "MEM=16M", "TRACE_MAX=1000", run="disktest 64")
    assert_nested(timeline)
    calls = [event for event in slices(timeline, "emulate") if event["tid"] >= 6]
    assert len(slices(timeline, "exit")) + len(calls) == 1000
    assert f"{timeline['otherData']['missing']} records after them were dropped" in text.replace("'", "")
    assert statistics["memory"]["vmm_peak"] <= (16 << 20) / 50 + (4 << 20)


def test_trace_off_costs_nothing():
    """Nothing on the way of an exit or an access knows of the timeline: it has its own entry."""
    knowing = set()
    for folder, _, files in os.walk(os.path.join(front_door.TOP, "build/trident")):
        for file in (name for name in files if name.endswith(".o") and name != "timeline.o"):
            path = os.path.join(folder, file)
            used = subprocess.run([NM, "-u", path], capture_output=True, text=True, check=True).stdout
            if any(word.startswith("timeline_") for word in used.split()):
                knowing.add(file)
    assert knowing == {"main.o", "control.o"}  # start and end, a command


@pytest.mark.parametrize("options, words", [
    (("DEVICE=native",), "has no VMM"), (("TRACE_MAX=0",), "TRACE_MAX=0 is not"),
    (("TRACE=/nonexistent/t.json",), "cannot be written")], ids=lambda value: str(value)[:20])
def test_trace_refuses(options, words):
    status, text = front_door.run([*options, "trace"])
    assert status != 0 and words in text
    assert len([line for line in text.splitlines() if line.startswith("trident: ")]) == 1


# --- make walk ------------------------------------------------------------------------------------------

STEP = re.compile(r"^ +\d+\. (\w+) +(\S+):(\d+)$")
ROW = re.compile(r"^  ((?:real|virtual) \w+) +(\S+) +(\S+)")
MISSING = re.compile(r"no trap of its own at PATCH=(\w+)\.")
# event -> the class of each of its exits, where all of them trap.
TEXTBOOK = {
    "uart": ["EXIT_MMIO"], "csrr": ["EXIT_CSR"], "csrr-again": ["EXIT_CSR"], "fill": ["EXIT_SHADOW_FILL"],
    "sret": ["EXIT_SRET"], "syscall": ["EXIT_SYSCALL"], "fault": ["EXIT_GUEST_FAULT"], "sbi": ["EXIT_SBI"],
    "virtio": ["EXIT_MMIO", "EXIT_INTERRUPT"],
    "interrupt": ["EXIT_INTERRUPT", "EXIT_CSR", "EXIT_PLIC", "EXIT_PLIC"],
    "ahci": ["EXIT_MMIO", "EXIT_INTERRUPT"], "passthrough": ["EXIT_INTERRUPT", "EXIT_PLIC", "EXIT_PLIC"],
}
# What is no trap of its own at a level, and so is a sentence.
ABSENT = {"off": [], "ecall": [], "cluster": ["sret"], "inline": ["csrr-again", "sret"]}
PATCHING = re.compile(r"patch(?!=)|\bPATCH=cluster:|stands here", re.IGNORECASE)


class Shown:
    """An event as the text has it: exits, each [class, steps, table], and how often a sentence says that there is
    no such trap."""

    def __init__(self):
        self.exits, self.missing = [], 0

    def steps(self, at=0):
        return [name for name, _, _ in self.exits[at]["steps"]]


def read_walk(text):
    """(what is said first, event -> Shown)"""
    head, *parts = re.split(r"^=== ([\w-]+): .* ===$", text, flags=re.MULTILINE)
    events = {}
    for name, part in zip(parts[::2], parts[1::2]):
        shown = events[name] = Shown()
        shown.missing = len(MISSING.findall(" ".join(part.split())))
        for line in part.splitlines():
            if line.startswith("--- "):
                shown.exits.append({"class": None, "steps": [], "table": {}, "text": []})
            elif match := STEP.match(line):
                shown.exits[-1]["steps"].append((match[1], match[2], int(match[3])))
            elif match := ROW.match(line):
                shown.exits[-1]["table"][match[1]] = (match[2], match[3])
            elif match := re.match(r"  counted as (\w+);", line):
                shown.exits[-1]["class"] = match[1]
            if shown.exits:
                shown.exits[-1]["text"].append(line)
    return head, events


def walked(*options):
    status, text = front_door.run([*options, "walk"], seconds=150)
    assert status == 0, text[-2000:]
    return text, *read_walk(text)


def assert_places(steps):
    """Each step's place in the source is where the function is."""
    for name, file, number in steps:
        with open(os.path.join(front_door.TOP, file), encoding="utf-8") as source:
            lines = source.read().splitlines()
        assert any(name in line for line in lines[max(number - 2, 0):number]) or file.endswith(".S"), \
            f"{name} is not at {file}:{number}; if this is an example in docs/, `make examples` renews it"


def assert_ways(taken, rows, patch):
    """The exits went the ways that they are said to."""
    assert {"handle_page_fault", "device_access", "uart_access"} <= set(taken["uart"])
    assert {"virtio_mmio_access", "disk_submit"} <= set(taken["virtio"])
    assert rows["csrr"]["real scause"][0] == "0x2" and "handle_illegal" in taken["csrr"]
    assert rows["syscall"]["virtual mode"][0] == "vU"
    assert rows["syscall"]["virtual sepc"][1] != "0x0" and "vcpu_raise" in taken["syscall"]
    assert "sbi_call" in taken["sbi"] and "vcpu_raise" in taken["fault"]
    assert {"shadow_fault", "shadow_fill"} <= set(taken["fill"]) and "vcpu_raise" not in taken["fill"]
    assert {"ahci_access", "ahci_slots_run", "disk_submit"} <= set(taken["ahci"])
    assert {"host_interrupt", "routed_irq", "vplic_set_line"} <= set(taken["passthrough"])
    assert {"host_interrupt", "virtio_mmio_push", "device_set_irq", "vcpu_set_external"} <= set(taken["interrupt"])
    if patch in ("off", "ecall"):
        assert ("handle_illegal" if patch == "off" else "handle_ecall") in taken["csrr-again"]
        pcs = [int(pc, 0) for pc in rows["csrr-again"]["virtual pc"]]
        assert pcs[1] == pcs[0] + 4
        for name, modes in (("sret", ("vS", "vU")), ("syscall", ("vU", "vS"))):
            assert rows[name]["virtual mode"] == modes
            assert len(set(rows[name]["real satp"])) == 2 and "shadow_select" in taken[name]
        assert rows["syscall"]["virtual sepc"][1] == rows["syscall"]["real sepc"][0]


@pytest.mark.parametrize("patch", ABSENT)
def test_walk_shows_a_run(patch):
    """At each level: what each exit was counted as is what the event is, or a sentence says that there is none."""
    text, head, events = walked(f"PATCH={patch}")
    assert f"PATCH={patch}: {walk_steps.LEVELS[patch]}".split() == head[head.index("PATCH="):].split()
    assert list(events) == list(walk_steps.EVENTS) == list(TEXTBOOK)
    for name, shown in events.items():
        classes = [] if name in ABSENT[patch] else TEXTBOOK[name]
        assert [exit["class"] for exit in shown.exits] == classes, name
        assert shown.missing == (name in ABSENT[patch]), name
        for exit in shown.exits:
            assert_places(exit["steps"])
            assert exit["steps"][0][0] == "trap_entry" and exit["steps"][-1][0] == "trap_return"
            assert exit["table"]["real sepc"][1] == exit["table"]["virtual pc"][1]  # where the sret goes
    there = {name: shown for name, shown in events.items() if shown.exits}
    assert_ways({name: shown.steps() for name, shown in there.items()},
                {name: shown.exits[0]["table"] for name, shown in there.items()}, patch)
    if patch == "off":
        assert not PATCHING.search(text[len(head):]), PATCHING.search(text[len(head):])
    else:
        assert "the site is patched" in text


def test_walk_is_at_the_textbook_level_by_default():
    text, head, events = walked("EVENT=csrr")
    assert "PATCH=off: " in head and list(events) == ["csrr"]
    assert events["csrr"].exits[0]["class"] == "EXIT_CSR" and "M-mode: a trap" in text


def test_walk_collapses_repeats():
    """Steps that come again at once, one or a few of them together, are left out and counted."""
    def shown(*names):
        rows = walk_text.mark_repeats([{"name": name} for name in names])
        return [(step["name"], more) for step, more in rows]

    assert shown(*"abab", "c") == [("a", ""), ("b", "1 more times these 2 steps"), ("c", "")]
    assert shown(*"a" * 16) == [("a", "15 more like this")]
    assert shown(*"abcabd") == [(name, "") for name in "abcabd"]
    assert shown() == []


def test_walk_page(tmp_path):
    """Each step with its lane and line of the source; stepped with the arrow keys in a browser; nothing from
    elsewhere."""
    text, _, events = walked(f"HTML={tmp_path}/walk.html")
    page = (tmp_path / "walk.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=\"(?!#|data:)|@import|url\(|https?:", page)
    steps = re.findall(r'<li class="step" data-lane="([\w -]+)">.*?<span class="name">(.*?)</span>.*?</li>', page,
                       re.DOTALL)
    named = [name for _, name in steps]
    for shown in events.values():
        for exit in shown.exits:
            for name, file, number in exit["steps"]:
                assert name in named and f"<code>{file}:{number}</code>" in page
                with open(os.path.join(front_door.TOP, file), encoding="utf-8") as source:
                    line = source.read().splitlines()[number - 1].strip()
                assert html.escape(line) in page
    assert {lane for lane, _ in steps} == set(walk_steps.LANES)
    assert len(steps) >= sum(len(exit["steps"]) + 2 for shown in events.values() for exit in shown.exits)
    press_keys(tmp_path, page, len(steps))


def press_keys(folder, page, number):
    """The page in Chromium at 390 pixels, as the keys leave it."""
    script = """<script>
const press = (key) => dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
const at = () => [...document.querySelectorAll(".step")].findIndex((step) => step.classList.contains("now"));
const seen = [at()];
for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowUp"]) {
  press(key); seen.push(at());
}
const open = [...document.querySelectorAll(".detail")].filter((detail) => detail.offsetHeight > 0).length;
const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
document.body.insertAdjacentHTML("beforeend", `<pre id="seen">${JSON.stringify({seen, open, wide})}</pre>`);
</script></body>"""
    (folder / "pressed.html").write_text(page.replace("</body>", script), encoding="utf-8")
    inner = html.escape((folder / "pressed.html").read_text(encoding="utf-8"), quote=True)
    (folder / "around.html").write_text(
        f'<!DOCTYPE html><html><body><iframe id="f" srcdoc="{inner}" style="width: 390px; height: 844px"></iframe><script>'
        'addEventListener("load", () => document.body.insertAdjacentHTML("beforeend", `<pre id="out">'
        '${document.getElementById("f").contentDocument.getElementById("seen").textContent}</pre>`));'
        "</script></body></html>", encoding="utf-8")
    done = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                           f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000", "--dump-dom",
                           f"file://{folder}/around.html"], text=True, timeout=90, capture_output=True, check=False)
    found = re.search(r'<pre id="out">(\{.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:] + done.stderr[-1500:]
    last = number - 1
    assert json.loads(html.unescape(found[1])) == {"seen": [0, 1, 2, 1, last, last, 0, 0], "open": 1, "wide": False}


def test_walk_names_a_missing_function():
    walk.find_symbols(machine.TRIDENT_ELF, walk_steps.STEPS)
    walk.find_symbols("build/guest/trident-guest.elf", walk.guest_names(walk_steps.EVENTS))
    with pytest.raises(Refusal, match="no functions no_such_step.*walk_steps.py names one"):
        walk.find_symbols(machine.TRIDENT_ELF, [*walk_steps.STEPS, "no_such_step"])


def test_tour_names_what_exists():
    """The tour's functions are in the VMM's source, and its files are there."""
    with open(os.path.join(front_door.TOP, "docs/tour.md"), encoding="utf-8") as file:
        text = file.read()
    functions = set(re.findall(r"`(\w+)\(\)`", text))
    assert len(functions) > 15
    source = subprocess.run(["git", "grep", "-h", r"^[A-Za-z_].*\b[a-z_]\+(", "--", "core/*.[ch]", "devices/*.[ch]"],
                            cwd=front_door.TOP, capture_output=True, text=True, check=True).stdout
    assert not [name for name in functions if f"{name}(" not in source.replace("*", " ")]
    for path in re.findall(r"`((?:core|devices)/[\w/]+\.\w+)`", text):
        assert os.path.exists(os.path.join(front_door.TOP, path)), path


@pytest.mark.parametrize("options, words", [
    (("EVENT=foo",), "EVENT=foo is not known"), (("GUEST=linux",), "leave GUEST out"),
    (("HTML=/nonexistent/w.html",), "cannot be written")], ids=lambda value: str(value)[:20])
def test_walk_refuses(options, words):
    status, text = front_door.run([*options, "walk"])
    assert status == 2 and words in text


# --- make top -------------------------------------------------------------------------------------------


def answer(count, vmm, idle, loads, flushes):
    """Statistics with one row; the guest has run one second more than the VMM."""
    return {
        "config": {"uart": "emulated", "disk": "virtio", "disk_model": "ahci", "patch": "off",
                   "mem": 512 << 20},
        "exits": [{"class": "csr", "mode": "vS", "detail": "sie", "count": count, "nanoseconds": vmm}],
        "devices": {"uart": {"strategy": "emulated/uart", "loads": loads}},
        "memory": {"tlb_flushes": flushes, "vmm_bytes": 2 << 20, "vmm_limit": 14 << 20},
        **{name: {"nanoseconds": spent}
           for name, spent in (("vmm", vmm), ("guest", vmm + 10**9), ("idle", idle))}}


def test_top_tells_rates():
    rates = top.Rates(answer(100, 10**9, 0, 10, 5), answer(700, 2 * 10**9, 10**9, 40, 8))
    assert rates.seconds == 3
    assert rates.exits(lambda row: row["class"]) == [("csr", 200, pytest.approx(100 / 3), 10**9 // 600, 700)]
    assert rates.share("idle") == pytest.approx(100 / 3)
    assert (rates.device("uart", "loads"), rates.memory("tlb_flushes")) == (10, 1)
    reset = top.Rates(answer(700, 2 * 10**9, 0, 40, 8), answer(50, 5 * 10**8, 0, 10, 5))
    assert (reset.seconds, reset.exits(lambda row: row["class"])[0][1]) == (2, 25)


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (200, 60)])
def test_top_fits_the_screen(size):
    lines = top.screen(top.Rates(None, answer(700, 2 * 10**9, 10**9, 40, 8)), *size)
    assert len(lines) < size[1] and max(map(len, lines)) <= size[0]
    assert any(line.startswith("csr ") for line in lines)


def test_top_cuts_no_digit():
    """However many there are of everything, at 79 columns, which is what a terminal of 80 has room for."""
    most = 10**15
    now = answer(most, 10**9, 0, most, most)
    row = now["exits"][0]
    now["exits"] = [{**row, "class": "mmio", "detail": "disk InterruptStatus store", "count": count}
                    for count in (most, 10**7 - 1, 99)]
    now["devices"] = {name: {"strategy": f"passthrough/{name}", **dict.fromkeys(
        ("loads", "stores", "irqs", "notifications", "requests", "bytes"), count)}
        for name, count in (("uart", most), ("disk", 10**7 - 1))}
    now["memory"].update(root_switches=most, fills=most)
    now["config"].update(uart="passthrough", disk="passthrough", patch="cluster")
    wide, narrow = (top.screen(top.Rates(None, now), width, 40) for width in (500, 79))
    assert wide == narrow and max(map(len, wide)) <= 79
    cells = {line[:22]: line[22:].split() for line in wide}
    assert cells["disk: passthrough/disk"] == ["3'333'333"] * 2 + ["3333333"] * 3 + ["3'333'333"]
    assert cells["uart: passthrough/uart"] == ["333'333G", "333'333G", "333333G", "333333G", "333'333G", "333333333M"]
    assert any(line.startswith("disk InterruptStatus store ") for line in wide)


def test_top_fits_a_number():
    for width in range(6, 16):
        for value in (0, 9, 999, 99_999, 999_999, 1_000_000, 999_999_999, 10**12 + 1, 10**18):
            text = top.fit(value, width)
            assert len(text) == width and text[0] == " "
            digits, unit = re.fullmatch(r" +([\d']+)([kMGTPE]?)", text).groups()
            shown = int(digits.replace("'", "")) * 1000 ** " kMGTPE".index(unit or " ")
            assert shown == pytest.approx(value, rel=0.1)


def test_spread_of_a_histogram():
    """Entries of 1, 98 and 1 exits; then what an open end and a single exit say."""
    assert histogram.spread({3: 1, 6: 98, 9: 1}) == (3, 6, 6, 9)
    assert histogram.spread({3: 50, 6: 50}) == (3, 3, 6, 6)
    assert histogram.spread({6: 98, 9: 2, 12: 0}) == (6, 6, 9, 9)
    assert histogram.spread({23: 1}) == (23,) * 4
    assert [histogram.words(entry) for entry in (0, 6, 9, 12, 20, 23)] == [
        "0 to 2", "64 to 128", "512 to 1k", "4k to 8k", "1M to 2M", "8M or more"]
    rows = [{"class": "csr", "histogram": [0, 2, 1]}, {"class": "csr", "histogram": [4]},
            {"class": "sbi", "histogram": [0, 0, 9]}, {"class": "wfi", "histogram": []}]
    assert histogram.of_classes({"exits": rows}) == {"sbi": {2: 9}, "csr": {0: 4, 1: 2, 2: 1}}


@pytest.fixture
def going_on(tmp_path):
    """A run that does something for a while."""
    options = {"UART": "emulated", "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "60",
               "PATCH": "ecall", "RUN": "bench uart 1000; sleep 50000"}
    process = subprocess.Popen([*front_door.MAKE, *front_door.words(options), "qemu"], cwd=front_door.TOP,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in process.stdout:
        if line.startswith(b"# sleep"):
            break
    yield process
    control.ask(control.connect(session.RUN_FOLDER), "quit") if process.poll() is None else None
    process.wait(30)
    process.stdout.close()


def terminal():
    return pexpect.spawn(front_door.MAKE[0], [*front_door.MAKE[1:], "top"], cwd=front_door.TOP, timeout=20,
                         encoding="utf-8", dimensions=(24, 80), env={**os.environ, "TERM": "xterm"})


def test_top_of_a_run(going_on):
    status, text = front_door.run(["ONCE=1", "top"])
    assert status == 0
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "uart emulated, disk virtio" in lines[0]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", lines[1])]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    lines = control.connect(session.RUN_FOLDER)
    stores = control.ask(lines, "stats")["statistics"]["devices"]["uart"]["stores"]
    mmio = next(line for line in text.splitlines() if line.startswith("mmio "))
    assert stores > 1000 and int(mmio.split()[-1].replace("'", "")) > 1000
    assert control.ask(lines, "reset")["reply"] == "reset"  # in the middle of the guest's wfi
    _, text = front_door.run(["ONCE=1", "top"])
    assert float(re.search(r"idle ([\d.]+) %", text)[1]) > 90, "a guest that sleeps is idle while it does"
    for key in ("q", "\x03"):
        child = terminal()
        child.expect("q quits")
        child.send(key)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0 and "Traceback" not in child.before
    child = terminal()
    child.expect("q quits")
    control.ask(lines, "quit")
    child.expect("the run has ended")
    child.expect(pexpect.EOF)
    going_on.wait(30)


def make_into(reader, *words):
    """What a pipe of make and a reader like `head` writes, and the reader's part."""
    done = subprocess.run(f"{' '.join(front_door.MAKE)} {' '.join(words)} | {reader}", shell=True, cwd=front_door.TOP,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr, done.stdout.splitlines()


def test_tables_of_a_run(going_on):
    """make stats has the costs of each class; a reader who leaves early hears of no traceback."""
    for words in (("ONCE=1", "top"), ("stats",)):
        said, lines = make_into("head -1", *words)
        assert len(lines) == 1 and said == "", said
    said, lines = make_into("sed '/ median /,/^mmio/!d; / median /!{/^mmio/q}'", "stats")
    assert said == "" and lines[0].split()[-4:] == list(histogram.SPREAD) and max(map(len, lines)) <= 80
    assert re.fullmatch(r"mmio( +\d+[kM]? (to \d+[kM]?|or more)){4}", lines[-1]), lines
    for word, reply in (("pause", "pause"), ("where", "where"), ("resume", "resume"), ("reset", "reset")):
        status, text = front_door.run(["-s", word])
        assert status == 0 and json.loads(text)["reply"] == reply
    assert going_on.poll() is None


def test_walk_into_a_pipe():
    said, _ = make_into("true", "EVENT=sbi", "walk")
    assert said == "", said


@pytest.mark.parametrize("word", ["where", "pause", "resume", "reset"])
def test_commands_are_in_the_help(word):
    _, text = front_door.run(["help"])
    assert re.search(rf"^  make (?:[\w |]* )?{word}\b", text, re.MULTILINE)


def test_top_without_a_run():
    deadline = time.monotonic() + 20
    while control.live_runs(session.RUN_FOLDER) and time.monotonic() < deadline:
        time.sleep(0.5)  # another test's may still be ending
    status, text = front_door.run(["top"])
    assert status == 1 and "no run with the VMM is going on" in text
    assert len(text.strip().splitlines()) == 2  # and make's

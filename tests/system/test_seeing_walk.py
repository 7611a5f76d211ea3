"""make walk: what it shows is what happened."""

import html
import json
import os
import re
import subprocess

import pytest

from scripts.runner import machine, walk, walk_steps, walk_text
from scripts.runner.options import Refusal
from . import front_door
from .walk_shown import TEXTBOOK, assert_places, read_walk

# What is no trap of its own at a level, and so is a sentence.
ABSENT = {"off": [], "ecall": [], "cluster": ["sret"], "inline": ["csrr-again", "sret"]}
# What depends on the guest's compiler there: another exit may serve the access that the event is.
MAY_BE_ABSENT = {"off": [], "ecall": [], "cluster": ["ahci"], "inline": ["ahci"]}
PATCHING = re.compile(r"patch(?!=)|\bPATCH=cluster:|stands here", re.IGNORECASE)


def walked(*options):
    status, text = front_door.run([*options, "walk"], seconds=150)
    assert status == 0, text[-2000:]
    return text, *read_walk(text)


def assert_ways(taken, rows, patch):
    """The exits went the ways that they are said to."""
    assert {"handle_page_fault", "device_access", "uart_access"} <= set(taken["uart"])
    assert {"virtio_mmio_access", "disk_submit"} <= set(taken["virtio"])
    assert rows["csrr"]["real scause"][0] == "0x2" and "handle_illegal" in taken["csrr"]
    assert rows["syscall"]["virtual mode"][0] == "vU"
    assert rows["syscall"]["virtual sepc"][1] != "0x0" and "vcpu_raise" in taken["syscall"]
    assert "sbi_call" in taken["sbi"] and "vcpu_raise" in taken["fault"]
    assert {"shadow_fault", "shadow_fill"} <= set(taken["fill"]) and "vcpu_raise" not in taken["fill"]
    assert "ahci" not in taken or {"ahci_access", "ahci_slots_run", "disk_submit"} <= set(taken["ahci"])
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
        absent = name in ABSENT[patch] or (name in MAY_BE_ABSENT[patch] and shown.missing)
        assert [exit["class"] for exit in shown.exits] == ([] if absent else TEXTBOOK[name]), name
        assert shown.missing == absent, name
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

"""What `make walk` has seen, as text; and the words that its page uses too."""

import textwrap

from . import walk_steps

CAUSES = {2: "illegal instruction", 8: "ecall", 12: "fetch page fault", 13: "load page fault",
          15: "store page fault"}
INTERRUPTS = {1: "software interrupt", 5: "timer interrupt", 9: "external interrupt"}
INTERRUPT = 1 << 63
SSTATUS = {"SIE": 1, "SPIE": 5, "SPP": 8, "SUM": 18, "MXR": 19}
LONGEST_REPEAT = 4  # steps that are repeated together
ECALL = 8


def wrapped(text, indent=""):
    return textwrap.fill(text, 100, initial_indent=indent, subsequent_indent=indent)


def show(value):
    return value if isinstance(value, str) else f"{value:#x}"


def cause_name(scause):
    if scause & INTERRUPT:
        return INTERRUPTS.get(scause & 0xFF, f"interrupt {scause & 0xFF}")
    return CAUSES.get(scause, f"cause {scause}")


def repeats(names):
    """(length, how many more) of what the names begin with, if it comes again at once; else None."""
    for length in range(1, LONGEST_REPEAT + 1):
        more = 0
        while len(names) >= length * (more + 2) and \
                names[length * (more + 1):length * (more + 2)] == names[:length]:
            more += 1
        if more:
            return length, more
    return None


def mark_repeats(steps):
    """[(step, what to say after it)]: where the same few functions come again at once, the later ones are left
    out, and it is said how many there were."""
    rows = []
    while steps:
        found = repeats([step["name"] for step in steps])
        length, more = found or (1, 0)
        rows += [(step, "") for step in steps[:length]]
        if more:
            what = "like this" if length == 1 else f"times these {length} steps"
            rows[-1] = (steps[length - 1], f"{more} more {what}")
        steps = steps[length * (more + 1):]
    return rows


def total(classes):
    """{class: how many} in words."""
    return ", ".join(f"{number} x {name}" for name, number in sorted(classes.items()))


def way_in(exit, patch):
    """How the trap came to the VMM: (the lane that it came to first, a sentence)."""
    cause = cause_name(exit["scause"])
    note = ""
    if patch != "off" and exit["scause"] == ECALL and exit["text"].split()[:1] not in ([], ["ecall"]):
        note = ", which stands here in its place: the site is patched"
    if exit["delegated"]:
        return "VMM", f"{'' if exit['scause'] & INTERRUPT else 'a trap, '}{cause}{note}"
    return "M-mode", f"a trap, {cause}: not delegated (medeleg), so OpenSBI gets it first, and passes it on"


def where(exit):
    text = exit["text"] or "(a process)"
    if exit["scause"] & INTERRUPT:
        text = f"before {text}" if exit["text"] else text
    return f"{exit['mode']} at {exit['pc']:#x}{' ' + exit['symbol'] if exit['symbol'] else ''}: {text}"


def goes_on(exit):
    after = exit["virtual"][1]
    return f"counted as {exit['class']}; the guest goes on in {after['mode']} at {after['pc']:#x}"


def missing_sentence(part, patch):
    """Why a part of an event is not shown: all of it from the run."""
    looked = sum(part["looked"].values())
    text = f"{part['what']}: no trap of its own at PATCH={patch}. "
    text += "Until the guest had come to its next function" if part["ended"] else f"Among the {looked} exits that followed"
    text += f" there was none that began so and was counted as {part['class']}"
    text += f": there were {total(part['looked'])}." if looked else ", nor any other."
    if part["carried"]:
        text += (f" The VMM carried it out ({part['step']}) in another instruction's exit: "
                 f"{total(part['carried'])}.")
    elif part["ended"]:
        text += " The guest went on without the VMM."
    return text


def skipped_sentence(exit):
    return f"before it, not shown: {total(exit['skipped'])}" if exit["skipped"] else ""


# --- Text. -----------------------------------------------------------------------------------------------


def table_row(kind, name, before, after):
    note = ""
    if name == "scause":
        note = cause_name(after)
    elif name == "sstatus":
        note = " ".join(bit for bit, place in SSTATUS.items() if after >> place & 1)
    mark = "*" if before != after else " "
    return f"  {f'{kind} {name}':<16}{show(before):>20}{show(after):>20} {mark} {note}".rstrip()


def step_rows(exit, patch):
    for number, (step, more) in enumerate(mark_repeats(exit["steps"]), 1):
        yield f"  {number:>2}. {step['name']:<23} {step['file']}:{step['line']}"
        yield f"      {walk_steps.sentence(step['name'], patch)}"
        for kind, name, old, new in step["changes"]:
            yield f"        {kind} {name}: {show(old)} -> {show(new)}"
        if more:
            yield f"      ({more})"


def exit_text(exit, patch):
    lines = [f"--- {exit['what']}"]
    lines += [f"  {text}" for text in [skipped_sentence(exit)] if text]
    source = f"  ({exit['source'][0]}:{exit['source'][1]})" if exit["source"] else ""
    lines.append(f"  guest, in {where(exit)}{source}")
    lane, why = way_in(exit, patch)
    lines.append(f"  {'hardware' if lane == 'VMM' else lane}: {why}")
    lines += step_rows(exit, patch)
    lines.append(f"  {goes_on(exit)}")
    lines.append(f"  {'':<16}{'at the trap':>20}{'at the sret':>20}")
    for kind in ("real", "virtual"):
        before, after = exit[kind]
        lines += [table_row(kind, name, before[name], after[name]) for name in before]
    return "\n".join(lines)


def event_text(event, patch):
    """Ends with an empty line."""
    parts = [f"=== {event['event']}: {walk_steps.EVENTS[event['event']].title} ==="]
    parts += [exit_text(exit, patch) for exit in event["exits"]]
    parts += [wrapped(missing_sentence(part, patch), "  ") for part in event["missing"]]
    return "\n\n".join(parts) + "\n"

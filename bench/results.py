"""results.json (docs/results.schema.json): put together from samples, and read with care."""

import json

from . import cells, intervals, stored
from .cells import Refusal

SCHEMA = 2
GROUPS = {"device": ("mmio",), "plic": ("plic",), "csr": ("csr", "sret", "wfi", "fence", "patch"),
          "fault": ("shadow_fill", "guest_fault"), "sbi": ("sbi",), "interrupt": ("interrupt",)}


# --- Deriving --------------------------------------------------------------------------------------------


def counted(sample):
    """What must be equal in two rounds of a count."""
    return json.dumps([sample["operations"], sample["instructions"], sample["traps"],
                       sample["registers"]], sort_keys=True)


def agreed(samples):
    """The samples of a count that are equal, if two or more are; else none. Those while which the VMM learned
    are not looked at."""
    kinds = {}
    for sample in samples:
        if sample.get("learned"):
            continue
        kinds.setdefault(counted(sample), []).append(sample)
    best = max(kinds.values(), key=len, default=[])
    return best if len(best) > 1 else []


def kept(samples):
    return [sample for sample in samples if not sample["dropped"]]


def each(samples, name):
    """Median of a figure per operation."""
    return intervals.median([sample[name] / sample["operations"] for sample in samples
                             if sample[name] is not None])


def nested(samples, name):
    """The same of a table of figures, to any depth."""
    if not samples or samples[0][name] is None:
        return None

    def walk(parts):
        result = {}
        for key in sorted({key for part, _ in parts for key in part}):
            values = [(part.get(key, 0), n) for part, n in parts]
            if any(isinstance(value, dict) for value, _ in values):
                result[key] = walk([(value or {}, n) for value, n in values])
            else:
                result[key] = intervals.median([value / n for value, n in values])
        return result

    return walk([(sample[name], sample["operations"]) for sample in samples])


def grouped(traps):
    """Exit classes in the report's groups; `other` is the rest."""
    if traps is None:
        return None
    groups = {group: sum(traps.get(name, 0) for name in classes) for group, classes in GROUPS.items()}
    groups["other"] = max(0.0, round(traps["total"] - sum(groups.values()), 9))
    return groups


def ratio(cell, samples, natives):
    """Cost relative to native. Times: within a round; counts: of the medians."""
    if not natives:
        return None
    if cell.method == "count":
        a, b = each(samples, "instructions"), each(natives, "instructions")
        return {"median": a / b, "low": None, "high": None} if a is not None and b else None
    native = {sample["round"]: sample["ns"] / sample["operations"] for sample in natives}
    return intervals.interval([sample["ns"] / sample["operations"] / native[sample["round"]]
                               for sample in samples if native.get(sample["round"])])


def difference(own, control):
    """What a time's interval says beside that of native against native."""
    if intervals.overlap(own, control) is None:
        return None
    if intervals.overlap(own, control):
        return "none"
    return "slower" if own["median"] > control["median"] else "faster"


def unstable_why(samples):
    learning = [sample["learned"] for sample in samples if sample.get("learned")]
    if len(learning) < len(samples) - 1:
        return f"{len(samples)} rounds gave different counts"
    words = ", ".join(f"{name} {by:+d}" for name, by in learning[-1].items())
    return f"in {len(learning)} of {len(samples)} rounds the VMM went on learning ({words})"


def entry(cell, seen):
    """The cell's entry, without what is relative to others. seen: [(round, dropped, sample or why, log)]."""
    strategy = cells.STRATEGIES[cell.strategy]
    samples = [{"round": turn, "dropped": dropped, **sample}
               for turn, dropped, sample, _ in seen if not isinstance(sample, str)]
    failures = [(sample, log) for _, _, sample, log in seen if isinstance(sample, str)]
    status, why, log, repeatable = "ok", "", None, None
    if failures or not samples:
        status = "failed"
        why, log = failures[0] if failures else ("it was not run", None)
    elif cell.method == "count":
        repeatable = bool(agreed(samples))
        if not repeatable:
            status, why = "unstable", unstable_why(samples)
    return {"id": cell.id, "part": cell.part, "method": cell.method, "guest": cell.guest,
            "workload": cell.workload.name, "params": cell.workload.params,
            "strategy": cell.strategy, "uart": strategy.uart, "disk": strategy.disk,
            "patch": cell.patch, "options": cell.options(),
            "command": f"make bench ONLY='^{cell.id}$'", "native": cell.native, "base": cell.base,
            "status": status, "why": why, "log": log, "repeatable": repeatable,
            "samples": samples, "derived": None}


def used(row):
    """The samples that figures are taken from."""
    samples = kept(row["samples"])
    return agreed(samples) if row["repeatable"] else samples


def derive(cell, row, native):
    samples = used(row)
    traps = nested(samples, "traps")
    return {"rounds": len(samples), "instructions": each(samples, "instructions"), "traps": traps,
            "groups": grouped(traps), "registers": nested(samples, "registers"),
            "ns": each(samples, "ns"), "difference": None,
            "ratio": ratio(cell, samples, used(native)) if native else None}


def assemble(chosen, seen, machine, flags):
    """The whole result. seen: {cell id: [(round, dropped, sample or why, log)]}."""
    rows = {cell.id: entry(cell, seen.get(cell.id, [])) for cell in chosen}
    for cell in chosen:
        row = rows[cell.id]
        native = rows.get(cell.native)
        if row["status"] != "failed":
            row["derived"] = derive(cell, row, native if native and native["status"] != "failed" else None)
    for cell in chosen:
        control = rows.get(cell.named(cells.CONTROL, None, ()))
        derived = rows[cell.id]["derived"]
        if derived and control and control["derived"] and rows[cell.id] is not control:
            derived["difference"] = difference(derived["ratio"], control["derived"]["ratio"])
    return {"schema": SCHEMA, **flags, "machine": machine, "cells": list(rows.values())}


# --- Reading ---------------------------------------------------------------------------------------------


def load(path):
    """A result, or a Refusal that says what is wrong with the file."""
    try:
        whole = json.loads(stored.read(path))
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror}): run make bench, or name another file.") \
            from None
    except ValueError:
        raise Refusal(f"{path} is no whole JSON file: it was cut off, or is something else.") from None
    check(path, whole)
    return whole


def check(path, whole):
    if not isinstance(whole, dict) or "schema" not in whole:
        raise Refusal(f"{path} is no result of make bench.")
    if whole["schema"] != SCHEMA:
        raise Refusal(f"{path} has schema {whole['schema']}, and this bench reads schema {SCHEMA}: "
                      "use the bench of the commit that wrote it, or measure again.")
    try:
        commits = {whole["machine"]["commit"]} | {host["commit"] for host in
                                                  whole["machine"].get("hosts", [])}
        complete = all(isinstance(cell["samples"], list) and cell["id"] for cell in whole["cells"])
    except (KeyError, TypeError):
        complete = False
    if not complete or not whole["cells"]:
        raise Refusal(f"{path} is not complete: it lacks what docs/results.schema.json requires.")
    if len(commits) > 1:
        raise Refusal(f"{path} mixes results of the commits {', '.join(sorted(map(str, commits)))}: "
                      "measure all of it on one.")

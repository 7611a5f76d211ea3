"""A peer beside Trident: cells of part `peer` (`make bench PEER=kvm`), else build/peer-kvm.json."""

import re

from . import draw, words
from .curves import of_file
from .exhibit import Exhibit, Section, sentence_list
from .results import nanoseconds, ratio
from .table import Table
from .value import Value, missing

OURS = ("ahci", "virtio", "passthrough")
TITLE = "A peer: KVM with the H extension on the same QEMU"
CURVE = re.compile(r"curves-(queue_depth|buffer_size)-(\d+)")
DISK = re.compile(r"disk-(queued-)?read-(\d+)-d(\d+)")
NAMES = {"kvm-virtio": "KVM, virtio", "kvm-emulated": "KVM, emulated"}


def file_rows(whole):
    """[(workload, native's ns, {peer: ratio})] of build/peer-kvm.json."""
    found = {}
    for row in whole["rows"] if whole else []:
        found.setdefault(row["workload"], {})[row["strategy"]] = row["ns"]
    return [(workload, Value(ns["native"]), {name: Value(ns[name] / ns["native"])
                                             for name in ns if name != "native"})
            for workload, ns in found.items() if "native" in ns]


def cell_rows(results):
    """The same of the cells of part `peer`."""
    found = {}
    for cell in results.find(part="peer"):
        found.setdefault(cell["workload"], {})[cell["strategy"]] = cell
    return [(workload, nanoseconds(of.get("native")), {name: ratio(cell) for name, cell in of.items()
                                                       if name not in words.STRATEGIES})
            for workload, of in found.items()]


def curve_point(workload):
    """(curve, x) of `make curves` that is this workload, or None."""
    found = CURVE.fullmatch(workload)
    if found:
        return found[1], int(found[2])
    found = DISK.fullmatch(workload)
    if not found:
        return None
    return ("queue_depth", int(found[3])) if found[1] else ("buffer_size", int(found[2]))


def own(results, series, workload, strategy):
    """Ours: of make bench; of a disk's curve, of make curves."""
    point = curve_point(workload)
    if point is None:
        return ratio(results.matrix("time", "linux", workload, strategy)
                     or results.matrix("boot-time", "linux", workload, strategy))
    of_curve = series.get(point[0], {}).get("ns", {})
    pair = [dict(of_curve.get(one, [])).get(point[1], missing()) for one in (strategy, "native")]
    return Value(pair[0].value / pair[1].value) if all(one.there for one in pair) else missing()


def title_of(workload):
    point = curve_point(workload)
    if point is None:
        return words.workload(workload, {"kind": workload.split("-")[0]})
    if point[0] == "queue_depth":
        return f"4 KiB read, {point[1]} under way"
    return f"{words.size(point[1])} read"


def rows_of(results, whole, curves):
    """[(title, native's ns, {column: ratio})]; the run's own peer, else that of `make peer`."""
    series, _ = of_file(curves)
    return [(title_of(workload), native,
             {**peers, **{name: own(results, series, workload, name) for name in OURS}})
            for workload, native, peers in cell_rows(results) or file_rows(whole)]


def label(name):
    return NAMES.get(name, words.strategy(name))


def source(whole):
    """Where the peer's figures are from."""
    if whole is None:
        return []
    crng = whole["crng_ready_seconds"]
    ready = "" if crng is None else f" Its guest's random numbers were ready after {crng} s."
    return [f"Peer: {whole['vmm']} in Debian's Linux {whole['kernel']} as a host on {whole['qemu']}, "
            f"measured at commit {whole['commit']}; no code of Trident runs in it.{ready}"]


def section(results, whole, curves):
    rows = rows_of(results, whole, curves)
    if not rows:
        return Section("peer", TITLE, ["Not measured: `make bench PEER=kvm` measures it, and "
                                       "`make report` then shows it."], [], "Peer")
    columns = list(dict.fromkeys(name for _, _, of in rows for name in of if name not in OURS))
    columns += OURS
    table = Table("peer", "Time per operation, native = 1: the peer and Trident",
                  ["operation", "native, ns", *map(label, columns)],
                  [[title, native, *(of.get(name, missing()) for name in columns)]
                   for title, native, of in rows],
                  notes=["Native's ns are those of the peer's run; each ratio is to the native of its "
                         "own run. boot: the peer's is the guest's uptime at its init, ours the whole "
                         "process."])
    looks = {label("kvm-virtio"): words.PEER_LOOK, label("kvm-emulated"): (draw.SKY, "X")}
    looks.update({label(name): words.look(name) for name in columns if label(name) not in looks})
    points = [(title, {label(name): of[name] for name in columns if name in of and of[name].there})
              for title, _, of in rows]
    points = [(title, of) for title, of in points if of]
    alt = "Points on a log axis, time relative to native. " + " ".join(
        f"{title}: " + sentence_list(f"{name} {value.text(2)}" for name, value in of.items()) + "."
        for title, of in points)
    figure = draw.dots(points, looks, "time, native = 1") if points else None
    return Section("peer", TITLE,
                   ["The same workloads in a guest of KVM, whose host runs on the same emulated "
                    "machine. Its traps are not counted, so times relative to native are compared. "
                    "How: docs/peer.md.",
                    *source(None if results.find(part="peer") else whole)], [Exhibit(table, figure, alt)], "Peer")

"""A peer beside Trident: cells of part `peer`, and build/peer-kvm.json of `make bench PEER=kvm`."""

from . import draw, words
from .curves import of_file
from .exhibit import Exhibit, Section, sentence_list
from .results import ratio
from .table import Table
from .value import Value, missing

OURS = ("ahci", "virtio", "passthrough")
TITLE = "A peer: KVM with the H extension on the same QEMU"
NAMES = {"kvm-virtio": "KVM, virtio", "kvm-emulated": "KVM, emulated"}


def of_file_rows(whole):
    """{workload: {strategy: ns of one operation}}"""
    found = {}
    for row in whole["rows"] if whole else []:
        found.setdefault(row["workload"], {})[row["strategy"]] = row["ns"]
    return found


def of_cells(results):
    """The same as ratios: {workload: {strategy: Value}} of the cells of part `peer`."""
    found = {}
    for cell in results.find(part="peer", method=("time", "boot-time")):
        if cell["strategy"] not in words.STRATEGIES:
            found.setdefault(cell["workload"], {})[cell["strategy"]] = ratio(cell)
    return found


def own(results, series, workload, strategy):
    """Ours: of make bench; of a curve, of make curves."""
    if not workload.startswith("curves-"):
        cell = (results.matrix("time", "linux", workload, strategy)
                or results.matrix("boot-time", "linux", workload, strategy))
        return ratio(cell)
    _, name, x = workload.split("-")
    of_curve = series.get(name, {}).get("ns", {})
    pair = [dict(of_curve.get(one, [])).get(int(x), missing()) for one in (strategy, "native")]
    return Value(pair[0].value / pair[1].value) if all(one.there for one in pair) else missing()


def title_of(workload):
    if workload.startswith("curves-queue_depth"):
        return f"4 KiB read, {workload.split('-')[2]} under way"
    if workload.startswith("curves-"):
        return f"read of {words.size(int(workload.split('-')[2]))}"
    return words.workload(workload, {"kind": workload.split("-")[0]})


def rows_of(results, whole, curves):
    """[(title, native's ns or a Value without one, {column: Value})]"""
    series, _ = of_file(curves)
    made = []
    for workload, ns in of_file_rows(whole).items():
        native = Value(ns["native"]) if "native" in ns else missing()
        columns = {name: Value(ns[name] / native.value) if name in ns and native.there else missing()
                   for name in NAMES}
        columns.update({name: own(results, series, workload, name) for name in OURS})
        made.append((title_of(workload), native, columns))
    for workload, peers in of_cells(results).items():
        columns = {**peers, **{name: own(results, series, workload, name) for name in OURS}}
        made.append((title_of(workload), missing("-"), columns))
    return made


def label(name):
    return NAMES.get(name, words.strategy(name))


def source(whole):
    """Where the peer's figures are from."""
    if whole is None:
        return []
    crng = whole["crng_ready_seconds"]
    ready = "" if crng is None else f" Its guest's random numbers were ready after {crng} s."
    return [f"Peer: {whole['vmm']} in Debian's Linux {whole['kernel']} as a host on QEMU {whole['qemu']}, "
            f"measured at commit {whole['commit']}; no code of Trident runs in it.{ready} "
            "How: docs/peer.md."]


def section(results, whole, curves):
    rows = rows_of(results, whole, curves)
    if not rows:
        return Section("peer", TITLE, ["Not measured: `make bench PEER=kvm` measures it, and "
                                       "`make report` then shows it."], [], "Peer")
    columns = list(dict.fromkeys(name for _, _, of in rows for name in of))
    table = Table("peer", "Time per operation, native = 1: the peer and Trident",
                  ["operation", "native, ns", *map(label, columns)],
                  [[title, native, *(of.get(name, missing()) for name in columns)]
                   for title, native, of in rows],
                  notes=["Native's ns are those of the peer's run; each ratio is to the native of its "
                         "own run. boot: the peer's is the guest's uptime at its init, ours the whole "
                         "process."])
    looks = {label("kvm-virtio"): words.PEER_LOOK, label("kvm-emulated"): (draw.BLACK, "X")}
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
                    "machine. Its traps are not counted, so times relative to native are compared.",
                    *source(whole)], [Exhibit(table, figure, alt)], "Peer")

"""The timeline of a run, as a file for ui.perfetto.dev or chrome://tracing.

The VMM sends records (core/observe/timeline.h) over the control channel; here they become the JSON of Chrome's
"Trace Event Format". One nanosecond of the picture is one retired instruction.
"""

import base64
import binascii
import collections
import functools
import json
import os
import struct
import tempfile

from . import report

LAYOUT = struct.Struct("<QQQQQIBBBBBB6x")  # struct trace_record
Record = collections.namedtuple(
    "Record", "begin length guest pc value detail kind flags unit mode cause irqs")
EXIT, ACCESS, SERVICE, END = range(4)  # enum trace_kind
MMIO = 9  # enum exit_class: under which a device's register has its name
INJECTED, RETURNED, FROM_USER, RESET, STORE = 1, 2, 4, 8, 16  # enum trace_flag
GAP = 2000  # instructions between two exits that are nobody's: more than recording takes

# Tracks: Chrome calls them threads. A device's follow from FIRST_DEVICE on.
VMM, GUEST, HANDLERS, PLIC, BOARD, FIRST_DEVICE = 1, 2, 3, 4, 5, 6
TRACKS = {VMM: "VMM: exits", GUEST: "guest: code", HANDLERS: "guest: trap handlers",
          PLIC: "vPLIC", BOARD: "board: finisher, RTC, empty virtio-mmio"}
OWN_TRACK = {"plic": PLIC, "board": BOARD}  # classes of exits that are one register access each


NAMES_MAX = 16384    # kept: a guest can make as many different exits as it likes
HANDLERS_MAX = 1000  # that are followed, one within the other: a guest may never return from one


class Collector:
    """Takes the VMM's lines; what they hold waits in a file without a name."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()
        self.names = {}  # (class number, detail) -> class, detail
        self.nameless = 0
        self.taken = self.dropped = self.received = 0

    def add(self, message):
        for unit, detail, *names in message.get("names", []):
            if len(self.names) < NAMES_MAX or (unit, detail) in self.names:
                self.names[unit, detail] = names
            else:
                self.nameless += 1
        try:
            data = base64.b64decode(message.get("records", ""), validate=True)
        except binascii.Error:
            return  # counted as lost
        whole = len(data) // LAYOUT.size
        self.file.write(data[:whole * LAYOUT.size])
        self.received += whole
        self.taken = message.get("taken", self.taken)
        self.dropped = message.get("dropped", self.dropped)

    @property
    def missing(self):
        """Records that are not here: there was no room for them, or a line was lost."""
        return self.dropped + max(self.taken - self.received, 0)

    def records(self):
        self.file.seek(0)
        while block := self.file.read(LAYOUT.size * 4096):
            yield from map(Record._make, LAYOUT.iter_unpack(block))


def microseconds(instructions):
    """Chrome's unit, exactly."""
    return f"{instructions // 1000}.{instructions % 1000:03}"


class Timeline:
    """Records in, events out: write is called with each event's JSON text."""

    def __init__(self, names, symbols, write):
        self.names = names
        self.name_of = functools.lru_cache(65536)(symbols.name)
        self.write = write
        self.start = None  # instret of the picture's begin
        self.last = 0
        self.exit_end = None
        self.handlers = []  # (start, cause, pc of the handler): the guest's, innermost last
        self.deeper = 0     # those within the last one of handlers
        self.sums = {}      # class -> [exits, instructions], since the statistics were reset
        self.guest = 0      # instructions, as well
        self.exits = self.calls = 0

    def at(self, pc, mode):
        """The guest's function; it is only known of its kernel."""
        return self.name_of(pc) if mode == "vS" else ""

    def slice(self, track, name, kind, begin, length, **arguments):
        self.last = max(self.last, begin + length)
        self.write(f'{{"ph":"X","pid":1,"tid":{track},"name":{json.dumps(name)},"cat":"{kind}",'
                   f'"ts":{microseconds(begin - self.start)},"dur":{microseconds(length)},'
                   f'"args":{json.dumps(arguments)}}}')

    def instant(self, track, name, kind, when):
        self.write(f'{{"ph":"i","s":"t","pid":1,"tid":{track},"name":{json.dumps(name)},"cat":"{kind}",'
                   f'"ts":{microseconds(when - self.start)}}}')

    def add(self, record):
        if self.start is None:
            self.start = record.begin - record.guest
        if record.kind == EXIT:
            self.add_exit(record)
        elif record.kind == END:
            self.guest += record.guest
            self.guest_slice(record, "vS")
        else:
            self.add_call(record)

    def guest_slice(self, record, mode):
        """What the guest ran before the exit."""
        place = self.at(record.pc, mode)
        self.slice(GUEST, f"{mode} {place.split('+')[0]}".strip(), "guest", record.begin - record.guest,
                   record.guest, pc=hex(record.pc), **({"at": place} if place else {}))

    def count(self, name, record):
        if record.flags & RESET:
            self.sums.clear()
            self.guest = 0
        else:
            self.guest += record.guest
        total = self.sums.setdefault(name, [0, 0])
        total[0] += 1
        total[1] += record.length
        self.exits += 1

    def add_exit(self, record):
        unknown = (f"class {record.unit}", hex(record.detail))
        name, word = self.names.get((record.unit, record.detail), unknown)
        mode, end = "vS" if record.mode & 1 else "vU", record.begin + record.length
        self.count(name, record)
        ran_from = record.begin - record.guest
        if self.exit_end and ran_from - self.exit_end > GAP:
            self.slice(VMM, "(sending the trace, or a reset)", "gap", self.exit_end,
                       ran_from - self.exit_end)
        self.exit_end = end
        self.guest_slice(record, mode)
        place = self.at(record.pc, mode)
        self.slice(VMM, name if word == name else f"{name} {word}", "exit", record.begin, record.length,
                   **{"class": name, "mode": mode, "detail": word, "pc": hex(record.pc)},
                   **({"at": place} if place else {}))
        if name in OWN_TRACK:
            self.slice(OWN_TRACK[name], word, "emulate", record.begin, record.length)
        self.follow_handlers(record, end)

    def follow_handlers(self, record, end):
        if record.flags & RETURNED and self.handlers:
            self.leave(end)
        if record.flags & INJECTED:
            while record.flags & FROM_USER and self.handlers:
                self.leave(end)  # a task switch: this one's handler is still to return
            text = report.CAUSES.get(record.cause, f"cause {record.cause:#x}")
            self.instant(VMM, f"inject {text}", "inject", end)
            if len(self.handlers) < HANDLERS_MAX:
                self.handlers.append((end, text, record.value))
            else:
                self.deeper += 1
        while not record.mode & 2 and self.handlers:
            self.leave(end)

    def leave(self, end, **arguments):
        if self.deeper:
            self.deeper -= 1
            return
        start, text, pc = self.handlers.pop()
        place = self.at(pc, "vS")
        self.slice(HANDLERS, text, "handler", start, end - start, pc=hex(pc),
                   **({"at": place} if place else {}), **arguments)

    def add_call(self, record):
        track = FIRST_DEVICE + record.unit
        self.calls += 1
        if record.kind == ACCESS:
            store = bool(record.flags & STORE)
            place = record.unit << 16 | record.detail | store << 31  # stats_access_detail()
            direction = "store" if store else "load"
            _, word = self.names.get((MMIO, place), ("", f"+{record.detail:#04x} {direction}"))
            self.slice(track, word, "emulate", record.begin, record.length, direction=direction,
                       offset=hex(record.detail), value=hex(record.value), width=record.mode)
        else:
            self.slice(track, "service", "emulate", record.begin, record.length)
        if record.irqs:
            self.instant(track, f"irq x{record.irqs}" if record.irqs > 1 else "irq", "irq",
                         record.begin + record.length)

    def close(self):
        while self.handlers:
            self.leave(self.last, unfinished=True)


def track_events(statistics):
    tracks = dict(TRACKS)
    for i, (name, device) in enumerate(statistics.get("devices", {}).items()):
        tracks[FIRST_DEVICE + i] = f"{name}: {device.get('strategy', '')}"
    for track, name in tracks.items():
        for kind, value in (("name", name), ("sort_index", track)):
            yield json.dumps({"ph": "M", "pid": 1, "tid": track, "name": f"thread_{kind}",
                              "args": {kind: value}})


def write(path, collector, options, statistics):
    """Writes the file, whole or not at all; returns the timeline, whose sums it holds."""
    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".trace-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
            title = {"ph": "M", "pid": 1, "name": "process_name",
                     "args": {"name": "Trident; 1 ns is one instruction"}}
            file.write(json.dumps(title))
            timeline = Timeline(collector.names, report.guest_symbols(options.kernel),
                                lambda text: file.write(",\n" + text))
            for event in track_events(statistics):
                timeline.write(event)
            for record in collector.records():
                timeline.add(record)
            timeline.close()
            facts = {"options": options.describe(), "missing": collector.missing,
                     "exits": {name: dict(zip(("count", "instructions"), sums))
                               for name, sums in sorted(timeline.sums.items())},
                     "guest": {"instructions": timeline.guest}}
            file.write('\n],"otherData":' + json.dumps(facts) + "}\n")
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    return timeline


def tell(path, collector, timeline):
    """What was written, in a sentence."""
    number = report.number
    text = (f"trace: {number(timeline.exits)} exits and {number(timeline.calls)} device calls are in "
            f"{path}: open it in https://ui.perfetto.dev or chrome://tracing")
    if collector.missing:
        text += (f"; {number(collector.missing)} records after them were dropped: "
                 "raise TRACE_MAX for a longer trace")
    if collector.nameless:
        text += f"; {number(collector.nameless)} names of exits after the first {number(NAMES_MAX)} were dropped"
    return text

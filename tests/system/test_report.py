"""The report of make bench: from a real run's results.json (data/results.json), whole and self-contained;
and what it says to bad input."""

import copy
import csv
import hashlib
import html
import json
import lzma
import os
import re
import shutil
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from bench import controls, headline
from bench.report import (
    assemble, cite, classes, curves, details, levels, overview, peer, research, results, svg, table,
    words as names)
from bench.report.value import SAME, Value, apart, compared, missing
from . import front_door

TOP = front_door.TOP
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "results.json")
SVG = "{http://www.w3.org/2000/svg}"
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--enable-logging=stderr"]

# Put into a page around the report: how it looks in a window that is 390 pixels wide.
MEASURE = """
const inner = document.querySelector('iframe').contentDocument, top = inner.documentElement;
const wide = [...inner.querySelectorAll('body *')].filter(one => !one.closest('.scroll table')
    && !one.closest('svg *') && one.getBoundingClientRect().right > top.clientWidth + 1);
const shown = [...inner.querySelectorAll('svg[role=img]')].map(one => one.getBoundingClientRect());
document.body.insertAdjacentHTML('beforeend', '<pre id="seen">' + JSON.stringify({
    client: top.clientWidth, scroll: top.scrollWidth, wide: wide.map(one => one.outerHTML.slice(0, 80)),
    pictures: shown.length, flat: shown.filter(one => one.width < 100 || one.height < 40).length,
    ground: getComputedStyle(inner.body).backgroundColor}) + '</pre>');
console.log('measured');
"""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        file.write(value if isinstance(value, str) else json.dumps(value))


def make(source, folder, environment=None):
    """(status, what it said)"""
    done = subprocess.run([sys.executable, "-m", "bench.report", str(source), str(folder)], cwd=TOP,
                          env={**os.environ, **(environment or {})}, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="module", name="whole")
def whole_fixture():
    return json.loads(read(DATA))


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "report"
    status, said = make(DATA, folder)
    assert status == 0, said
    return folder


@pytest.fixture(scope="module", name="page")
def page_fixture(folder):
    """The page is XML, too: that it can be parsed is that it is well-formed."""
    return ET.fromstring(read(folder / "index.html"))


def words(element):
    return "".join(element.itertext())


def few_cells(whole, *workloads):
    """A smaller run."""
    return {**whole, "cells": [cell for cell in copy.deepcopy(whole["cells"])
                               if cell["workload"] in workloads and cell["part"] == "matrix"]}


def prints(folder):
    """{file within the folder: its hash}"""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def blocks(page):
    """Each exhibit: what holds a table, or a figure and its table."""
    return [div for div in page.iter("div") if div.find("p[@class='files']") is not None]


def test_parts(folder, page):
    assert read(folder / "results.json") == read(DATA)
    assert "### " in read(folder / "report.md")
    names = [div.find(".//table").get("id").removeprefix("table-") for div in blocks(page)]
    assert len(names) == len(set(names)) > 10
    for name in names:
        assert (folder / f"csv/{name}.csv").stat().st_size
        assert r"\bottomrule" in read(folder / f"tables/{name}.tex")
    for figure in page.iter("figure"):
        name = figure.get("id").removeprefix("figure-")
        assert ET.parse(folder / f"figures/{name}.svg").getroot().tag == f"{SVG}svg"
        assert (folder / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF-")
        assert f"(figures/{name}.svg)" in read(folder / "report.md")
    for link in page.iter("a"):
        target = link.get("href")
        assert target[1:] in {one.get("id") for one in page.iter()} if target.startswith("#") else (
            target.startswith("https://") or (folder / target).exists()), target


def test_sections(page):
    ids = {section.get("id") for section in page.iter("section")}
    assert ids >= {"overview", "ladder", "ablation", "registers", "growth", "workload-disk",
                   "workload-console", "peer", "published", "method"}
    figures = {figure.get("id") for figure in page.iter("figure")}
    assert figures >= {"figure-strategies", "figure-traps-disk-read-4096-d1", "figure-throughput",
                       "figure-ladder-traps", "figure-ladder-instructions", "figure-ablation-depth-1",
                       "figure-registers-disk", "figure-registers-uart"}


def test_exit_classes(whole, tmp_path):
    """The table of what an exit costs is the rounds' histograms together, without what is below zero."""
    few = few_cells(whole, "disk-read-4096-d1")
    assert classes.section(results.Results(few)) is None  # of a run that kept none
    for cell in few["cells"]:
        for sample in cell["samples"] if cell["strategy"] == "virtio" and cell["method"] == "count" else ():
            sample["histograms"] = {"csr": {"7": 90, "9": 1, "12": -1}, "mmio": {"11": 98, "12": 1, "23": 1}}
    write(tmp_path / "results.json", few)
    status, said = make(tmp_path / "results.json", tmp_path / "report")
    assert status == 0, said
    with open(tmp_path / "report/csv/classes.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["workload", "strategy", "exit class", "min", "median", "p99", "max"]
    assert rows == [["4 KiB read, depth 1", "Virtio", "mmio", "2k to 4k", "2k to 4k", "4k to 8k", "8M or more"],
                    ["4 KiB read, depth 1", "Virtio", "csr", "128 to 256", "128 to 256", "512 to 1k", "512 to 1k"]]


def test_every_picture_has_its_table_and_words(page):
    pictures = 0
    for div in blocks(page):
        for svg in div.iter("svg"):
            pictures += 1
            assert svg.get("role") == "img" and len(svg.get("aria-label")) > 40
            assert words(svg.find("title"))
            assert svg.find(".//text") is not None, "its text is drawn and cannot be read"
            rows = div.find(".//table").findall(".//tr")
            assert len(rows) > 1 and list(div).index(div.find("figure")) == 0
    assert pictures == len(list(page.iter("svg"))) > 8


def test_nothing_is_fetched(folder):
    text = read(folder / "index.html")
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert not re.search(r"<(script|img|iframe|object|embed|video|audio|source)\b", text)
    assert re.findall(r"<link [^>]*>", text) == ['<link rel="icon" href="data:,"/>']
    assert not re.search(r"@import|url\((?!#)|xlink:href=\"(?!#)|src=", text)
    assert "@media print" in text and "prefers-color-scheme: dark" in text


def test_same_input_same_report(whole, tmp_path):
    write(tmp_path / "results.json", few_cells(whole, "interrupt"))
    for name in ("one", "two"):
        assert make(tmp_path / "results.json", tmp_path / name)[0] == 0
    assert prints(tmp_path / "one") == prints(tmp_path / "two")


# --- The numbers -------------------------------------------------------------------------------------


def rows_of(folder, name):
    with open(folder / f"csv/{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cell(whole, name):
    return next(cell for cell in whole["cells"] if cell["id"] == name)


COLUMNS = {"native": "Native", "ahci": "Emulated (AHCI, 16550A)", "virtio": "Virtio",
           "passthrough": "Pass-through"}
READ1, OUT = "disk-read-4096-d1", "console-out"


def matrix(whole, method, workload, strategy):
    return next(cell for cell in whole["cells"] if cell["part"] == "matrix" and
                (cell["method"], cell["workload"], cell["strategy"]) == (method, workload, strategy))


@pytest.mark.parametrize("strategy", COLUMNS)
def test_headline_is_the_samples(whole, folder, strategy):
    """Counted again here, from the raw samples."""
    table = {(row["per"], row["measure"]): row for row in rows_of(folder, "headline")
             if row["PATCH"] == results.Results(whole).level()}
    for title, workload, device in (("4 KiB read, depth 1", "disk-read-4096-d1", "disk"),
                                    ("byte of console output", "console-out", "uart")):
        samples = [sample for sample in matrix(whole, "count", workload, strategy)["samples"]
                   if not sample["dropped"]]

        def per_operation(value, of=samples):
            return statistics.median(value(sample) / sample["operations"] for sample in of)

        seen = {measure: float(table[title, measure][COLUMNS[strategy]])
                for measure in ("register accesses", "register traps", "all traps", "instructions")}
        assert seen == pytest.approx({
            "register accesses": per_operation(lambda s: sum(s["devices"].get(device, {}).get(way, 0)
                                                             for way in ("loads", "stores"))),
            "register traps": per_operation(lambda s: sum(s["registers"].get(device, {}).values())),
            "all traps": per_operation(lambda s: s["traps"]["total"]),
            "instructions": per_operation(lambda s: s["instructions"])})
        if strategy != "native":
            row = table[title, "throughput, native = 1"]
            ratio = matrix(whole, "time", workload, strategy)["derived"]["ratio"]
            shown = [float(row[COLUMNS[strategy] + end]) for end in ("", " low", " high")]
            assert shown == pytest.approx([1 / ratio["median"], 1 / ratio["high"], 1 / ratio["low"]])


def test_classes_add_up(folder):
    for row in rows_of(folder, "traps-disk-read-4096-d1"):
        parts = [float(value) for name, value in row.items()
                 if name not in ("strategy", "all traps", "instructions") and "note" not in name]
        assert sum(parts) == pytest.approx(float(row["all traps"])) and sum(parts) > 0


def test_page_says_what_the_files_say(folder, page):
    """Every number of the page is the CSV's, unrounded."""
    for div in blocks(page):
        table = div.find(".//table")
        name = table.get("id").removeprefix("table-")
        with open(folder / f"csv/{name}.csv", encoding="utf-8", newline="") as file:
            fields = {field for row in csv.reader(file) for field in row}
        values = [one.get("data-value") for one in table.iter() if one.get("data-value")]
        assert set(values) <= fields, name


def test_commands(whole, page):
    table = next(table for table in page.iter("table") if table.get("id") == "table-commands")
    commands = {words(row[-1]) for row in table.iter("tr")}
    assert {cell["command"] for cell in whole["cells"]} <= commands


def test_missing_failed_unstable_and_same(whole, tmp_path):
    changed = few_cells(whole, "disk-read-4096-d1", "console-out")
    level = matrix(whole, "count", "console-out", "virtio")["patch"]
    changed["cells"].remove(cell(changed, f"count/trident/console-out/virtio/{level}"))
    failed = cell(changed, f"count/trident/disk-read-4096-d1/ahci/{level}")
    failed.update(status="failed", why="no end after <180> s", samples=[], derived=None,
                  log="build/bench/7.log")
    unstable = cell(changed, f"count/trident/disk-read-4096-d1/virtio/{level}")
    unstable.update(status="unstable", repeatable=False)
    unstable["samples"][0]["instructions"] += 8
    same = cell(changed, f"time/trident/console-out/virtio/{level}")
    same["derived"]["difference"] = "none"
    write(tmp_path / "results.json", changed)
    status, said = make(tmp_path / "results.json", tmp_path / "out")
    assert status == 0, said
    page = read(tmp_path / "out/index.html")
    headline = page[page.index('id="table-headline"'):]
    headline = headline[:headline.index("</table>")]
    assert 'title="no end after &lt;180&gt; s" class="n none">failed<' in headline
    assert ">not measured<" in headline and f">{SAME}<" in headline and ">~" in headline
    assert "1 of" in page and "cells failed" in page and "build/bench/7.log" in page
    rows = {(row["per"], row["measure"]): row for row in rows_of(tmp_path / "out", "headline")}
    assert rows["4 KiB read, depth 1", "instructions"]["Virtio note"] == "unstable"
    assert rows["byte of console output", "all traps"]["Virtio note"] == "not measured"


def curve_rows(device, traps):
    return [{"curve": "touch_again", "x": x, "device": device, "patch": None, "n": 8, "ns": 10.0 * x,
             "instructions": 20.0, "traps": traps, "device_traps": traps, "exits": None}
            for x in (1, 4, 16)]


def test_growth(whole):
    """Curves of make curves; one that is 0 everywhere, and so has no place on a log axis, too."""
    rows = curve_rows("native", None) + curve_rows("emulated", 0.0)
    section = curves.section(results.Results(whole), {"rows": rows}, "")
    shown = {exhibit.name: exhibit for exhibit in section.exhibits}
    assert sorted(shown) == [f"curve-touch-again-{name}" for name in ("instructions", "ns", "traps")]
    assert "\n16,0.0\n" in table.csv_text(shown["curve-touch-again-traps"].table)
    assert "\n16,160.0,160.0\n" in table.csv_text(shown["curve-touch-again-ns"].table)
    for exhibit in section.exhibits:
        assert "working set, MiB" in svg.drawn(exhibit.figure) and "Emulated AHCI" in exhibit.alt


def test_peer(whole):
    """A peer's file beside our cells: each relative to its own native."""
    rows = [{"strategy": strategy, "disk": "virtio-blk", "uart": "16550A", "workload": workload, "n": 1,
             "ns": ns} for workload, strategy, ns in (("boot", "native", 2e9), ("boot", "kvm-virtio", 7e9),
                                                      ("curves-queue_depth-4", "native", 100.0),
                                                      ("curves-queue_depth-4", "kvm-emulated", 250.0))]
    made = {title: (native, columns) for title, native, columns in
            peer.rows_of(results.Results(whole), {"rows": rows}, None)}
    native, columns = made["boot of Linux"]
    assert native.value == 2e9 and columns["kvm-virtio"].value == 3.5
    ours = matrix(whole, "boot-time", "boot", "virtio")["derived"]["ratio"]["median"]
    assert columns["virtio"].value == ours and not columns["ahci"].there
    assert made["4 KiB read, 4 under way"][1]["kvm-emulated"].value == 2.5


# --- What is said of the numbers ---------------------------------------------------------------------


def quiet(whole):
    """The same run on a quiet machine: each control is about 1."""
    whole = copy.deepcopy(whole)
    for one in whole["cells"]:
        if one["part"] == "control":
            one["derived"]["ratio"] = {"median": 1.01, "low": 0.97, "high": 1.04}
    return whole


def set_times(whole, workload, **ratios):
    """Cost relative to native, by strategy: (median, low, high)."""
    for strategy, ratio in ratios.items():
        derived = matrix(whole, "time", workload, strategy)["derived"]
        derived["ratio"] = dict(zip(("median", "low", "high"), ratio))
    return whole


@pytest.mark.parametrize("ratio, spoilt", [
    ((0.55, 0.5, 0.61), True), ((1.3, 1.1, 1.6), True), ((1.0, 0.85, 1.06), True), ((1.0, 0.91, 1.1), False),
    ((1.02, 0.99, 1.05), False)])
def test_banner(whole, tmp_path, ratio, spoilt):
    """A control that excludes 1, or is wider than 20 %, stands above page, Markdown and README's table."""
    whole = quiet(whole)
    assert not controls.banner(whole["cells"])
    control = next(one for one in whole["cells"] if one["part"] == "control" and one["workload"] == OUT)
    control["derived"]["ratio"] = dict(zip(("median", "low", "high"), ratio))
    sentence = f"Times of this run are not to be used: native against itself {ratio[0]:.2f} "
    assert (sentence in assemble.document(whole)) == spoilt
    assert (sentence in headline.said(whole)) == spoilt
    write(tmp_path / "results.json", {**whole, "cells": [one for one in whole["cells"]
                                                         if one["workload"] == OUT]})
    assert make(tmp_path / "results.json", tmp_path / "out")[0] == 0
    assert (f'<p class="warn">{sentence}' in read(tmp_path / "out/index.html")) == spoilt
    assert (f"**{sentence}" in read(tmp_path / "out/report.md")) == spoilt


def test_no_interval_no_banner():
    assert not controls.bad({"median": 0.5, "low": None, "high": None}) and not controls.bad(None)


def gap(whole):
    return " ".join(research.gap(results.Results(whole), READ1, "depth 1"))


def test_sentences_follow_the_intervals(whole):
    """An order in time is said only of intervals that do not overlap, in a run whose times may be used."""
    whole = quiet(whole)
    assert "In time, virtio does 1.5 times as many of these reads as" in gap(
        set_times(whole, READ1, ahci=(3, 2.8, 3.1), virtio=(2, 1.9, 2.2)))
    said = gap(set_times(whole, READ1, ahci=(3, 2.1, 3.1), virtio=(2, 1.9, 2.2)))
    assert f"In time, virtio and the emulated AHCI are {SAME}." in said and "of these reads" not in said
    assert "In time" not in gap(set_times(whole, READ1, ahci=(3, None, None), virtio=(2, None, None)))
    set_times(whole, READ1, ahci=(3, 2.8, 3.1), virtio=(2, 1.9, 2.2))
    next(one for one in whole["cells"] if one["part"] == "control")["derived"]["ratio"]["high"] = 0.98
    assert "In time" not in gap(whole) and "times as many instructions" in gap(whole)


def compare(tmp_path, *wholes):
    """(status, what bench/compare says of two results)"""
    paths = [f"{tmp_path}/{name}.json" for name in "ab"]
    for path, one in zip(paths, wholes):
        write(path, one)
    done = subprocess.run([f"{TOP}/bench/compare", *paths], text=True, timeout=60, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def test_compare_leaves_out_spoilt_times(whole, tmp_path):
    """A time that is dearer is a regression, unless a control of one of the two results is off."""
    before = set_times(quiet(whole), READ1, ahci=(2, 1.9, 2.2))
    after = set_times(quiet(whole), READ1, ahci=(3, 2.8, 3.1))
    status, said = compare(tmp_path, before, after)
    assert status == 1 and said.count("REGRESSION") == 1 and "not to be used" not in said, said
    spoilt = set_times(copy.deepcopy(whole), READ1, ahci=(3, 2.8, 3.1))
    status, said = compare(tmp_path, before, spoilt)
    assert status == 0 and "B: Times of this run are not to be used" in said and "A: Times" not in said, said
    assert "times are not compared for that" in said and "equal or not to be told apart from noise" in said


def test_counts_that_vary(whole):
    """Two counts whose rounds overlap have no order, and a toggle between them adds nothing."""
    whole = quiet(whole)
    level = results.Results(whole).level()
    toggle = cell(whole, f"count/trident/{READ1}/virtio/{level}/ABLATE=copy")
    base = cell(whole, toggle["base"])
    assert "by copying" in "".join(research.effects(results.Results(whole), READ1, "depth 1")).replace(SAME, "")
    for one in (toggle, base):
        one.update(status="unstable", repeatable=False)
        for sample, instructions in zip(one["samples"], (160000, 320000)):
            sample["instructions"] = instructions
        one["derived"]["instructions"] = 30000.0
    said = "".join(research.effects(results.Results(whole), READ1, "depth 1"))
    assert re.search(rf"Virtio at depth 1.*{SAME}: by copying", said)
    rows = [row for row in research.ablation_table(results.Results(whole)).rows
            if row[0].endswith("by copying") and row[1:3] == ["Virtio", "4 KiB read, depth 1"]]
    assert rows[0][-1].same and SAME in rows[0][-1].text()


def test_compared():
    def between(value, low, high):
        return Value(value, low, high)

    assert compared(Value(3.0), Value(2.0)) == ("1.5 times as many", "as")
    assert compared(Value(2.0), Value(2.0)) == ("as many", "as")
    assert compared(Value(1001.0), Value(1000.0)) == ("0.1 % more", "than")
    assert compared(Value(999.0), Value(1000.0)) == ("0.999 times as many", "as")
    assert compared(between(3, 2, 4), between(2, 1, 2.5)) is None and compared(missing(), Value(1.0)) is None
    assert apart(between(3, 2.6, 4), between(2, 1, 2.5)) and not apart(between(3, 2.5, 4), between(2, 1, 2.5))
    assert not apart(Value(3.0, unstable=True, least=2.0, most=4.0), Value(2.0))


def with_textbook(whole):
    """The run as one that counted the headline at PATCH=off as well: by twice the traps, and at twice the
    instructions; but of pass-through's console at half of them."""
    whole = copy.deepcopy(whole)
    level = results.Results(whole).level()
    for one in list(whole["cells"]):
        if (one["part"], one["method"]) != ("matrix", "count") or one["strategy"] == "native":
            continue
        if one["workload"] in (READ1, OUT):
            name = one["id"].replace(f"/{level}", "/off")
            whole["cells"] = [other for other in whole["cells"] if other["id"] != name]
            other = copy.deepcopy(one)
            other.update(id=name, part="ladder", patch="off")
            factor = 0.5 if (one["workload"], one["strategy"]) == (OUT, "passthrough") else 2
            for sample in other["samples"]:
                sample["instructions"] = int(sample["instructions"] * factor)
                sample["traps"] = {kind: 2 * count for kind, count in sample["traps"].items()}
            other["derived"]["instructions"] *= factor
            other["derived"]["traps"] = {kind: 2 * count for kind, count in other["derived"]["traps"].items()}
            whole["cells"].append(other)
    return whole


def test_textbook_first(whole):
    """PATCH=off leads the first tables, with the default beside it, and where that is dearer is said."""
    whole = with_textbook(whole)
    of = results.Results(whole)
    table_of = {(row[0], row[1], row[2]): row[3:] for row in overview.headline_rows(of)}
    first = next(iter(overview.headline_rows(of)))
    assert first[2] == "off"
    off, own = (table_of["4 KiB read, depth 1", "all traps", level] for level in ("off", "ecall"))
    assert [value.value for value in off[1:]] == [2 * value.value for value in own[1:]]
    assert off[0].value == own[0].value == 0  # native
    head = overview.strategies_table(of, ("ahci", "virtio", "passthrough")).head
    assert head[2:] == ["register traps, PATCH=off", "all traps, PATCH=off", "register traps, PATCH=ecall",
                        "all traps, PATCH=ecall"]
    said = " ".join(levels.dearer(of))
    assert said == headline.said(quiet(whole)).strip()
    more, less = (table_of["byte of console output", "instructions", level][-1].text() for level in ("ecall", "off"))
    assert f"pass-through, byte of console output: {more} against {less} at off." in said and "read" not in said
    shown = headline.table(whole)
    assert shown.index("`off`") < shown.index("`ecall`") and "| all traps | `off` |" in shown


def test_the_level_of_the_matrix_alone(whole):
    """Results that lack the textbook's level are shown at their own."""
    assert {row[2] for row in overview.headline_rows(results.Results(whole))} == {"ecall"}


def test_consoles_are_no_disks(whole, folder):
    """The emulated console is a 16550A, a latency is no throughput, a store to claim completes."""
    for exhibit in [exhibit for section in assemble.sections(results.Results(whole))
                    for exhibit in section.exhibits]:
        for row in exhibit.table.rows:
            told = " ".join(word for word in row if isinstance(word, str))
            if "console" in told and exhibit.name not in ("commands", "headline", "published", "published-others"):
                assert "AHCI" not in told, (exhibit.name, row)
    assert "Emulated 16550A" in read(folder / "report.md")
    of = {section.name: section for section in assemble.sections(results.Results(whole))}
    assert of["workload-interrupt"].exhibits
    for exhibit in of["workload-interrupt"].exhibits:
        assert not any("throughput" in text for text in (exhibit.name, exhibit.title, *exhibit.table.head))
    assert names.register("plic", "complete") == "PLIC complete"
    assert names.register("plic", "claim") == "PLIC claim"


def test_ladder_follows_the_rounds(whole, monkeypatch):
    """What a level leaves as it was is said; of what cannot be told apart none is the least; and only the
    same two levels are compared."""
    points = [("a", {"off": Value(20.0), "inline": Value(5.0)}),
              ("b", {"off": Value(20.0), "inline": Value(6.0, unstable=True, least=4.0, most=8.0)}),
              ("c", {"off": Value(20.0), "inline": Value(20.0)}),
              ("d", {"off": Value(20.0), "ecall": Value(1.0)})]
    monkeypatch.setattr(details, "ladder_points", lambda *_: points)
    said = " ".join(details.ladder_gain(results.Results(whole)))
    assert "these 3 operations, PATCH=inline leaves 25 to 100 % of the traps of PATCH=off." in said
    assert said.endswith("told apart from noise, for: c.")
    points[1][1]["inline"] = Value(6.0)
    assert "the least for: a." in " ".join(details.ladder_gain(results.Results(whole)))


# --- The results that are kept -----------------------------------------------------------------------


def commits(top):
    """{file: the commit of which it shows the figures}"""
    readme = read(f"{top}/README.md").split(headline.BEGIN, 1)[1].split(headline.END, 1)[0]
    found = {name: re.search(r"^Commit (\w+)", text, re.MULTILINE)[1]
             for name, text in (("README.md", readme), ("docs/results.md", read(f"{top}/docs/results.md")))}
    with lzma.open(f"{top}/docs/results.json.xz", "rt", encoding="utf-8") as file:
        found["docs/results.json.xz"] = json.load(file)["machine"]["commit"]
    return found


def test_kept_results(whole, folder, tmp_path):
    """`make results` and `bench/run --readme` of one run: three files of one commit, of which the report can be
    made again; a stored file that is cut off is refused."""
    (tmp_path / "docs/figures").mkdir(parents=True)
    write(tmp_path / "README.md", f"{headline.BEGIN}{headline.END}\n")
    headline.write_readme(whole, f"{tmp_path}/README.md", str(folder))
    done = subprocess.run([sys.executable, "-m", "bench.report", "--document", DATA,
                           f"{tmp_path}/docs/results.md"], cwd=TOP, timeout=60, check=False)
    assert done.returncode == 0
    assert set(commits(tmp_path).values()) == {whole["machine"]["commit"]} and len(commits(tmp_path)) == 3
    kept = tmp_path / "docs/results.json.xz"
    assert make(kept, tmp_path / "again")[0] == 0
    assert prints(tmp_path / "again") == prints(folder)
    kept.write_bytes(kept.read_bytes()[:-2000])
    status, said = make(kept, tmp_path / "again")
    assert status == 1 and "cannot be read" in said and prints(tmp_path / "again") == prints(folder)


def test_one_commit():
    """README, docs/results.md and the stored results of this tree are of one run."""
    found = commits(TOP)
    assert len(set(found.values())) == 1, found


def test_citation(whole, page):
    """CITATION.cff has a version and a date, and the page an entry for BibTeX with the run's commit."""
    of = cite.citation()
    assert re.fullmatch(r"\d+\.\d+\.\d+", of["version"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", of["date-released"])
    entry = next(words(section.find("pre")) for section in page.iter("section") if section.get("id") == "cite")
    assert entry == cite.bibtex(whole["machine"]) and entry.startswith("@misc{trident-")
    assert entry.count("{") == entry.count("}") and of["version"] in entry
    assert whole["machine"]["commit"] in entry and entry in assemble.document(whole)


# --- Bad input ---------------------------------------------------------------------------------------


def truncated(whole):
    return json.dumps(whole)[:5000]


def old_schema(whole):
    return {**whole, "schema": 1}


def no_cells(whole):
    return {**whole, "cells": []}


def twice(whole):
    return {**whole, "cells": whole["cells"] + whole["cells"][:1]}


def wrong_type(whole):
    whole["cells"][3]["samples"] = "none"
    return whole


def mixed(whole):
    whole["machine"]["hosts"] = [{"name": "one", "commit": "111111111111"}]
    return whole


def few(whole):
    timed = next(cell for cell in whole["cells"] if cell["method"] == "time")
    timed["samples"] = timed["samples"][:2]
    return whole


BAD = {
    "truncated": (truncated, "ends in the middle"),
    "text": (lambda whole: "This is no JSON.", "is no JSON"),
    "a list": (lambda whole: "[]", "has schema None"),
    "schema": (old_schema, "has schema 1, and this report reads schema 2"),
    "type": (wrong_type, "does not follow docs/results.schema.json at cells/3/samples"),
    "commits": (mixed, "mixes results of 2 commits"),
    "samples": (few, "too few samples: time/"),
    "empty": (no_cells, "no cells at all"),
    "twice": (twice, "two cells named"),
}


def refused(source, folder, sentence, environment=None):
    """One sentence, status 1, the old report as it was and nothing beside it."""
    before = prints(folder)
    status, said = make(source, folder, environment)
    assert status == 1 and sentence in said, said
    assert len(said.strip().splitlines()) == 1 and said.startswith("report: ") and len(said) < 500
    assert prints(folder) == before and len(before) > 20
    assert [name for name in os.listdir(folder.parent) if name.startswith(".")] == []


@pytest.fixture(name="old")
def old_fixture(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "report")
    return tmp_path / "report"


@pytest.mark.parametrize("name", BAD)
def test_bad_results(whole, old, tmp_path, name):
    spoil, sentence = BAD[name]
    write(tmp_path / "results.json", spoil(copy.deepcopy(whole)))
    refused(tmp_path / "results.json", old, sentence)


def test_no_results(old, tmp_path):
    refused(tmp_path / "absent.json", old, "is not there; `make bench` writes it")


def test_missing_tool(old, tmp_path):
    write(tmp_path / "matplotlib.py", "raise ImportError\n")
    refused(DATA, old, "missing: python3-matplotlib", {"PYTHONPATH": str(tmp_path)})


def test_document(tmp_path):
    """What `make results` writes: the tables that docs/results.md has."""
    done = subprocess.run([sys.executable, "-m", "bench.report", "--document", DATA,
                           f"{tmp_path}/results.md"], cwd=TOP, timeout=60, check=False)
    text = read(tmp_path / "results.md")
    assert done.returncode == 0 and sorted(os.listdir(tmp_path)) == ["results.json.xz", "results.md"]
    assert lzma.decompress((tmp_path / "results.json.xz").read_bytes()).decode() == read(DATA)
    for title in ("What each strategy costs", "The ladder", "Where the gap", "A peer"):
        assert re.search(f"^## {title}", text, re.MULTILINE), title
    assert "| 4 KiB read, depth 1 | register accesses | ecall | 0 |" in text and "![" not in text


def test_make_report():
    """The front door's own way, and its refusal."""
    status, said = front_door.run(["report", "RESULTS=/nowhere/results.json"])
    assert status == 1 and "/nowhere/results.json is not there" in said, said


# --- In a browser ------------------------------------------------------------------------------------


def browse(folder, tmp_path, *more):
    """What the page looks like to Chromium at 390 pixels; (measures, the console's lines)."""
    inner = html.escape(read(folder / "index.html"), quote=True)
    write(tmp_path / "around.html", "<!DOCTYPE html><html><head><title>around</title>"
          '<link rel="icon" href="data:,"/></head><body>'
          f'<iframe srcdoc="{inner}" style="width: 390px; height: 844px; border: 0"></iframe>'
          f"<script>addEventListener('load', () => {{ {MEASURE} }});</script></body></html>")
    done = subprocess.run([*CHROMIUM, f"--user-data-dir={tmp_path}/profile", "--dump-dom", *more,
                           f"file://{tmp_path}/around.html"], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    seen = re.search(r'<pre id="seen">(\{.*?)</pre>', done.stdout, re.DOTALL)
    assert seen, f"{done.stdout[-500:]}{done.stderr[-1500:]}"
    return json.loads(html.unescape(seen[1])), re.findall(r"CONSOLE.*", done.stderr)


def test_chromium(folder, page, tmp_path):
    seen, console = browse(folder, tmp_path)
    assert len(console) == 1 and "measured" in console[0], console
    assert 370 <= seen["client"] <= 390 and seen["scroll"] <= seen["client"], seen
    assert seen["wide"] == []
    assert seen["pictures"] == len(list(page.iter("svg"))) and seen["flat"] == 0
    assert seen["ground"] == "rgb(255, 255, 255)"


def test_chromium_dark(folder, tmp_path):
    seen, _ = browse(folder, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert seen["ground"] == "rgb(23, 24, 26)"


def test_readme(whole, folder, tmp_path):
    """bench/run --readme: picture and table of one run, or neither."""
    readme = tmp_path / "README.md"
    (tmp_path / "docs/figures").mkdir(parents=True)
    readme.write_text(f"before\n{headline.BEGIN}former table\n{headline.END}\nafter\n", encoding="utf-8")
    headline.write_readme(whole, str(readme), str(folder))
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "former" not in text
    assert headline.table(whole) in text and f"]({headline.FIGURE})" in text
    assert whole["machine"]["commit"] in text
    figure = tmp_path / headline.FIGURE
    assert "<svg" in figure.read_text(encoding="utf-8")
    other = copy.deepcopy(whole)
    other["machine"]["commit"] = "0123456789ab"
    figure.unlink()
    with pytest.raises(headline.Refusal):
        headline.write_readme(other, str(readme), str(folder))
    assert readme.read_text(encoding="utf-8") == text and not figure.exists()

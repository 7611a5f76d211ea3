"""The report of make bench: whole and self-contained, each number that of the samples, and what it looks like in a
browser."""

import copy
import csv
import html
import json
import re
import statistics
import subprocess
import xml.etree.ElementTree as ET

import pytest

from bench.report import classes, curves, peer, results, svg, table
from bench.report.value import SAME
from .report_page import DATA, cell, make, matrix, prints, read, words, write

SVG = "{http://www.w3.org/2000/svg}"


def few_cells(whole, *workloads):
    """A smaller run."""
    return {**whole, "cells": [cell for cell in copy.deepcopy(whole["cells"])
                               if cell["workload"] in workloads and cell["part"] == "matrix"]}


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


COLUMNS = {"native": "Native", "ahci": "Emulated (AHCI, 16550A)", "virtio": "Virtio",
           "passthrough": "Pass-through"}


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



# --- In a browser ------------------------------------------------------------------------------------

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

"""The report of make bench: from a real run's results.json (data/results.json), whole and self-contained;
and what it says to bad input."""

import copy
import csv
import hashlib
import html
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

import front_door

TOP = front_door.TOP
sys.path[:0] = [TOP, f"{TOP}/bench"]

import headline  # noqa: E402
from bench.report import classes, curves, peer, results, svg, table  # noqa: E402

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


COLUMNS = {"native": "Native", "ahci": "Emulated AHCI", "virtio": "Virtio",
           "passthrough": "Pass-through"}


def matrix(whole, method, workload, strategy):
    return next(cell for cell in whole["cells"] if cell["part"] == "matrix" and
                (cell["method"], cell["workload"], cell["strategy"]) == (method, workload, strategy))


@pytest.mark.parametrize("strategy", COLUMNS)
def test_headline_is_the_samples(whole, folder, strategy):
    """Counted again here, from the raw samples."""
    table = {(row["per"], row["measure"]): row for row in rows_of(folder, "headline")}
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
    assert ">not measured<" in headline and ">no difference<" in headline and ">~" in headline
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
    assert done.returncode == 0 and os.listdir(tmp_path) == ["results.md"]
    for title in ("What each strategy costs", "The ladder", "Where the gap", "A peer"):
        assert re.search(f"^## {title}", text, re.MULTILINE), title
    assert "| 4 KiB read, depth 1 | register accesses | 0 |" in text and "![" not in text


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
    readme.write_text(f"before\n{headline.BEGIN}old\n{headline.END}\nafter\n", encoding="utf-8")
    headline.write_readme(whole, str(readme), str(folder))
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
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

"""The results that are kept in the tree, and what the report of make bench says to bad ones."""

import copy
import json
import lzma
import os
import re
import shutil
import subprocess
import sys

import pytest

from bench import headline
from bench.report import assemble, cite
from . import front_door
from .report_page import DATA, TOP, make, prints, read, words, write


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


def test_make_report():
    """The front door's own way, and its refusal."""
    status, said = front_door.run(["report", "RESULTS=/nowhere/results.json"])
    assert status == 1 and "/nowhere/results.json is not there" in said, said

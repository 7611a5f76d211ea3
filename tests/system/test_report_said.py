"""What the report of make bench says of its numbers, and only of those that can be told apart."""

import copy
import re
import subprocess

import pytest

from bench import controls, headline
from bench.report import assemble, details, levels, overview, research, results, words as names
from bench.report.value import SAME, Value, apart, compared, missing
from .report_page import TOP, cell, make, matrix, read, write

READ1, OUT = "disk-read-4096-d1", "console-out"


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

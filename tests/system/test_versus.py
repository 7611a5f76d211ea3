"""make versus: the same RUN on several machines, side by side."""

import json
import re

from . import front_door


def versus(*arguments, seconds=120):
    return front_door.run(["versus", *arguments], seconds)


def columns(line):
    return re.split(r"  +", line.strip())


def test_table_agrees_with_single_runs(tmp_path):
    """Three figures of the whole run, for each strategy, are those of STATS of the same run alone."""
    status, output = versus("RUN=echo hi", f"JSON={tmp_path}/v.json", f"DISK_IMG={tmp_path}/disk.img")
    print(output)
    assert status == 0
    with open(f"{tmp_path}/v.json", encoding="utf-8") as file:
        columns_of = json.load(file)["columns"]
    assert list(columns_of) == ["native", "emulated", "virtio", "passthrough"]
    shown = {columns(line)[0]: columns(line)[1:] for line in output.splitlines() if line}
    for at, device in enumerate(list(columns_of)[1:], 1):
        options = {"DEVICE": device, "RUN": "echo hi", "ICOUNT": "1", "STATS": f"{tmp_path}/s.json",
                   "DISK_IMG": f"{tmp_path}/disk.img"}
        assert front_door.make(options)[0] == 0
        with open(options["STATS"], encoding="utf-8") as file:
            statistics = json.load(file)
        accesses = sum(row["loads"] + row["stores"] for row in statistics["devices"].values())
        sbi = sum(row["count"] for row in statistics["exits"] if row["class"] == "mmio")
        moved = sum(row["bytes"] for row in statistics["devices"].values())
        one = columns_of[device]
        assert accesses == sum(row.get("loads", 0) + row.get("stores", 0) for row in one["devices"].values())
        assert sbi == one["traps"].get("mmio", 0)
        assert moved == sum(row.get("bytes", 0) for row in one["devices"].values())
        assert shown["register accesses"][at] == f"{accesses:,}".replace(",", "'")
        assert shown["bytes"][at] == f"{moved:,}".replace(",", "'")


def test_marked_workload_and_another_option(tmp_path):
    """`bench` marks its workload: 1,000 bytes are 1,000 stores of an emulated 16550 at least, at each level."""
    status, output = versus("RUN=bench uart 1000", "DEVICE=emulated", "OVER=PATCH",
                            f"JSON={tmp_path}/v.json", f"DISK_IMG={tmp_path}/disk.img")
    print(output)
    assert status == 0
    with open(f"{tmp_path}/v.json", encoding="utf-8") as file:
        result = json.load(file)
    assert list(result["columns"]) == ["native", "off", "ecall", "cluster", "inline"]
    traps = {}
    for level in ("off", "ecall", "cluster", "inline"):
        uart = result["columns"][level]["devices"]["uart"]
        assert uart["bytes"] == 1000 and uart["stores"] >= 1000
        traps[level] = result["columns"][level]["traps"]["total"]
    assert traps["off"] > traps["cluster"]
    assert result["columns"]["native"]["cost"] < result["columns"]["off"]["cost"]


def test_refusals(tmp_path):
    assert "OVER=COLOUR is no option" in versus("OVER=COLOUR")[1]
    assert "there is no option" in versus("OVR=PATCH")[1]
    status, output = versus("RUN=no-such-command", f"DISK_IMG={tmp_path}/disk.img")
    assert status == 1 and "native: status 1" in output
    status, output = versus("RUN=echo hi", "ABLATE=copy", f"DISK_IMG={tmp_path}/disk.img")
    assert status == 0 and "passthrough: ABLATE takes something away" in output


def test_learning_is_shown(tmp_path):
    """`bench` is given four times and counted the last time, when nothing is learned; a workload that cannot be given
    again shows what was learned by a ~ in its column alone."""
    status, output = versus("RUN=bench uart 1000", "OVER=PATCH", "DEVICE=emulated",
                            f"DISK_IMG={tmp_path}/disk.img", f"JSON={tmp_path}/v.json")
    assert status == 0 and "the last of 4 times" in output and "~" not in output, output
    with open(f"{tmp_path}/v.json", encoding="utf-8") as file:
        settled = json.load(file)["columns"]["inline"]["cost"]
    status, output = versus("RUN=echo; bench uart 1000", "OVER=PATCH", "DEVICE=emulated",
                            f"DISK_IMG={tmp_path}/disk.img", f"JSON={tmp_path}/v.json")
    assert status == 0 and "the last of 4 times" not in output, output
    with open(f"{tmp_path}/v.json", encoding="utf-8") as file:
        inline = json.load(file)["columns"]["inline"]
    assert inline["learned"] and inline["cost"] > settled
    shown, = (columns(line) for line in output.splitlines() if line.startswith("instructions"))
    assert shown[0] == "instructions" and shown[-1].startswith("~") and not shown[1].startswith("~")
    assert "~ inline: the VMM learned while it was counted" in output and "~ native" not in output

"""Runs a workload in a Linux guest and prints its result as JSON. Called by make.

  bench/workloads/run nano DEVICE...            every operation; writes build/nano.json
  bench/workloads/run curves DEVICE             native and this one; writes build/curves.json
  bench/workloads/run workload NAME DEVICE      nano, curves, fio, depth, stress-ng or compile; writes
                                                build/workload/NAME-DEVICE.json
The options of the front door (PATCH, MEM, DISK_MODEL ...) come by the environment; OPS= names
operations of nano or curves, MIN= the minutes of stress-ng (0: every stressor), QUICK=1 is a short form of
fio, depth and compile, TIMEOUT= the seconds for one boot.
Exit status: 0 only if every run ended in good order and the guest's kernel had no complaint.
"""

import json
import os
import sys

from scripts.runner import options as front_door, report
from . import curves, debian, marks, nano, progress

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WORKLOADS = ("fio", "depth", "stress-ng", "compile")  # programs of Debian's
OURS = ("W", "OPS", "OP", "MIN", "QUICK")  # options of these targets, which the front door does not know


def parser(device):
    """A function that reads the options for one device, some of them overridden."""
    def parse(**overrides):
        environment = dict(os.environ)
        for name in ("UART", "DISK"):
            if name not in environment.get("GIVEN", "").split():
                environment.pop(name, None)  # make's default, from its DEVICE
        given = [name for name in environment.get("GIVEN", "").split() if name not in OURS]
        environment.update(DEVICE=device, GUEST="linux", GIVEN=" ".join(given))
        environment.update(overrides)
        return front_door.parse(environment)
    return parse


def run_nano(devices, path):
    rows, ops = [], os.environ.get("OPS", "").split()
    marks.plan = progress.Plan([boot for device in devices for boot in nano.boots(device, ops)])
    for device in devices:
        rows += nano.measure(parser(device), ops)
    report.write_json(path, rows)
    print(nano.table(rows))


def run_curves(devices, path):
    marks.plan = progress.Plan(curves.boots(devices))
    result = curves.measure(parser, devices, os.environ.get("OPS", "").split())
    report.write_json(path, result)
    print(curves.table(result))


def minutes():
    try:
        return float(os.environ.get("MIN") or 0.5)
    except ValueError:
        raise front_door.Refusal(f"MIN={os.environ['MIN']} is not a number of minutes.") from None


def plan_workload(name, device):
    """The boots of a program of Debian's: natively it is compiled too, if that was not done before."""
    seconds = {"fio": 60, "depth": 60, "stress-ng": 20 + 60 * (minutes() or 10), "compile": 120}[name]
    devices = [device] if name != "compile" or device == "native" else [device, "native"]
    marks.plan = progress.Plan([(marks.name_of(each, False), seconds) for each in devices])


def run_workload(name, device):
    os.makedirs("build/workload", exist_ok=True)
    path = f"build/workload/{name}-{device}.json"
    quick = os.environ.get("QUICK") == "1"
    if name == "nano":
        run_nano([device], path)
        return
    if name == "curves":
        run_curves([device], path)
        return
    if name not in WORKLOADS:
        raise front_door.Refusal(f"W={name} is not known: use nano, curves, {', '.join(WORKLOADS[:-1])} or {WORKLOADS[-1]}.")
    plan_workload(name, device)
    if name == "fio":
        facts = debian.fio(parser(device), quick)
    elif name == "depth":
        facts = debian.depth(parser(device), quick)
    elif name == "stress-ng":
        facts = debian.stress_ng(parser(device), int(minutes() * 60))
    else:
        facts = debian.compile_program(parser, device, quick)
    report.write_json(path, facts)
    print(json.dumps(facts, indent=1))


def main(words):
    os.chdir(TOP)
    try:
        if words[:1] == ["nano"] and len(words) > 1:
            run_nano(words[1:], "build/nano.json")
        elif words[:1] == ["curves"] and len(words) == 2:
            if words[1] == "native":
                raise front_door.Refusal("DEVICE=native is what a strategy's curves are compared with: "
                                         "use DEVICE=emulated, virtio or passthrough.")
            run_curves(["native", words[1]], "build/curves.json")
        elif words[:1] == ["workload"] and len(words) == 3:
            run_workload(words[1], words[2])
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except front_door.Refusal as refusal:
        print(f"trident: {refusal}", file=sys.stderr)
        return 2
    except marks.Failure as failure:
        print(f"workload: {marks.explain(failure)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The matrix in parts that can be run apart: each has the denominators of all its cells."""

import os

from . import cells, schedule

WORKLOADS = 5  # in a bundle


def flag(name):
    value = os.environ.get(name) or "0"
    if value not in ("0", "1"):
        raise cells.Refusal(f"{name}={value} is not known: use 0 or 1.")
    return value == "1"


def matrix_level():
    """What QUICK and FULL ask for."""
    quick, full = flag("QUICK"), flag("FULL")
    if quick and full:
        raise cells.Refusal("QUICK=1 and FULL=1 exclude each other: use one.")
    return cells.QUICK if quick else cells.FULL if full else cells.DEFAULT


def bundles(chosen):
    """[[cell, ...]]: a few workloads of one row, on every machine that has them."""
    result = []
    for row in schedule.rows_of(chosen):
        row_cells = [cell for machine_cells in row for cell in machine_cells]
        names = list(dict.fromkeys(cell.workload.name for cell in row_cells))
        for at in range(0, len(names), WORKLOADS):
            part = set(names[at:at + WORKLOADS])
            result.append([cell for cell in row_cells if cell.workload.name in part])
    return result

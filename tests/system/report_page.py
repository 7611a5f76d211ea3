"""The report of make bench, made and read by its tests: of a real run's results.json (data/results.json)."""

import hashlib
import json
import os
import subprocess
import sys

from . import front_door

TOP = front_door.TOP
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "results.json")


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


def words(element):
    return "".join(element.itertext())


def prints(folder):
    """{file within the folder: its hash}"""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def cell(whole, name):
    return next(cell for cell in whole["cells"] if cell["id"] == name)


def matrix(whole, method, workload, strategy):
    return next(cell for cell in whole["cells"] if cell["part"] == "matrix" and
                (cell["method"], cell["workload"], cell["strategy"]) == (method, workload, strategy))

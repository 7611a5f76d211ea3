"""The Python of this tree: packages that import each other by name, and programs that can be called from anywhere."""

import os
import subprocess
import sys

import pytest

from . import front_door

TOP = os.path.realpath(front_door.TOP)
LAUNCH = "scripts/launch"
GDB = ("scripts.gdb_trident", "scripts.gdb_walk")  # only gdb can import these
FOLDERS = ("bench", "scripts", "tests")


def tree_files():
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.join(TOP, folder)):
            yield from (os.path.relpath(os.path.join(place, name), TOP) for name in names)


LINKS = sorted(path for path in tree_files() if os.path.islink(os.path.join(TOP, path)))
SOURCES = sorted(path for path in tree_files() if path.endswith(".py") and not path.startswith("tests/unit/"))
MODULES = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in SOURCES]


@pytest.mark.parametrize("path", LINKS)
def test_program_is_a_module(path):
    assert os.path.realpath(os.path.join(TOP, path)) == os.path.join(TOP, LAUNCH)
    assert f"{path}.py" in SOURCES


def test_program_from_another_folder(tmp_path):
    """By its path, and through a link to the tree; in a folder that has modules of the same names."""
    (tmp_path / "tree").symlink_to(TOP)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/__init__.py").write_text("raise SystemExit('the wrong one')\n")
    said = {subprocess.run([f"{top}/scripts/run", "--help"], cwd=tmp_path, capture_output=True, text=True,
                           check=True).stdout for top in (TOP, "tree")}
    assert len(said) == 1 and "scripts/run --check" in said.pop()


def test_path_is_set_in_one_place():
    changed = []
    for path in (*SOURCES, LAUNCH):
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            changed += [path] if "sys." + "path" in file.read() else []
    assert changed == [LAUNCH]


def test_each_module_alone():
    """Every module can be the first one that is imported, so none waits for another that waits for it."""
    code = ("import importlib, os, sys\n"
            "import jinja2, jsonschema, matplotlib.pyplot, pexpect, pytest  # slow, and once is enough\n"
            "for name in sys.argv[1:]:\n"
            "    if os.fork() == 0:\n"
            "        importlib.import_module(name)\n"
            "        os._exit(0)\n"
            "    if os.wait()[1]:\n"
            "        sys.exit(name)\n")
    names = [name for name in MODULES if name not in GDB and not name.endswith("__main__")]
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=TOP, capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert not {name.split(".")[0] for name in MODULES} & sys.stdlib_module_names

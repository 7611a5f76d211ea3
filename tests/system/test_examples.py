"""The examples in the documentation: made by `make examples`, and still as the program is."""

import os
import re
import shutil

import pytest

from scripts import examples
from . import front_door, walk_shown


def all_blocks():
    for name in examples.FILES:
        with open(os.path.join(front_door.TOP, name), encoding="utf-8") as file:
            yield from ((name, command, text) for command, text in examples.blocks(file.read()))


BLOCKS = list(all_blocks())


def test_there_are_some():
    """The README's first command, and each of the three views of docs/seeing.md."""
    words = [command for _, command, _ in BLOCKS]
    assert any(command.startswith("make versus") for command in words)
    for target in ("trace", "walk", "top"):
        assert any(re.search(rf"\b{target}\b", command) for command in words), target


@pytest.mark.parametrize("name,command,text", BLOCKS, ids=[block[1][:40] for block in BLOCKS])
def test_block_is_of_its_command(name, command, text):
    """It is one fenced block that begins with its command, and it is not empty."""
    lines = text.splitlines()
    assert lines[0] == lines[-1] == "```" and lines[1] == f"$ {command.split(' beside ')[0]}", f"make examples: {name}"
    assert len(lines) > 5
    machine = os.path.realpath(front_door.TOP)
    assert machine not in text  # nothing of the machine that made it


@pytest.mark.parametrize("command,text", [block[1:] for block in BLOCKS if " walk" in block[1]], ids=["walk"])
def test_walk_is_where_it_says(command, text):
    """Functions, files and line numbers, and the guest's lines too, are those of this source."""
    _, events = walk_shown.read_walk(text)
    assert events
    for shown in events.values():
        for exit in shown.exits:
            walk_shown.assert_places(exit["steps"])
            assert exit["class"] in walk_shown.TEXTBOOK[re.search(r"EVENT=([\w-]+)", command)[1]]
            for file, line in re.findall(r"\(([\w/-]+\.[cS]):(\d+)\)", "\n".join(exit["text"])):
                assert walk_line(file, int(line)), f"make examples: {file}:{line}"


def walk_line(file, number):
    with open(os.path.join(front_door.TOP, file), encoding="utf-8") as source:
        return source.read().splitlines()[number - 1].strip()


def shape(text):
    """Its rows by their first words, without the numbers."""
    return [re.split(r"  +", line.rstrip())[0] for line in text.splitlines() if line and not line.startswith("```")]


@pytest.mark.parametrize("command,text", [block[1:] for block in BLOCKS if block[1].startswith("make versus")],
                         ids=["versus"])
def test_versus_has_the_same_rows(command, text):
    said = examples.output_of(command)
    assert shape(examples.fenced(command, said)) == shape(text), "make examples"


def test_renews_what_has_drifted(tmp_path):
    """Only the marked block changes, and a command that fails leaves the file as it was."""
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- begin: make --version -->\n```\nold\n```\n<!-- end -->\nafter\n", encoding="utf-8")
    examples.renew(str(path), "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- begin: make --version -->\n```\n$ make --version\nGNU Make")
    assert text.endswith("\n```\n<!-- end -->\nafter\n") and "old" not in text
    shutil.copy(path, tmp_path / "kept.md")
    path.write_text(text.replace("make --version", "make no-such-target"), encoding="utf-8")
    with pytest.raises(SystemExit, match="no-such-target.*status 2"):
        examples.renew(str(path), "")
    assert "no-such-target" in path.read_text(encoding="utf-8")

"""results.json, read and checked. What cannot be reported on is refused in one sentence."""

import json
import os

from .. import stored
from . import TOP

SCHEMA = 2
TIMES = ("time", "boot-time")
LEAST = {"count": 1, "time": 3, "boot-time": 1}  # samples that must be left of a cell that is ok


class Refusal(Exception):
    """One clear sentence: why there is no report."""


def read(path):
    """The file as data, whatever it holds."""
    try:
        text = stored.read(path)
    except FileNotFoundError:
        raise Refusal(f"{path} is not there; `make bench` writes it.") from None
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} cannot be read: {error}.") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = text.lstrip()[:1] == "{" and text.rstrip()[-1:] != "}"
        raise Refusal(f"{path} {'ends in the middle' if cut else 'is no JSON'} "
                      f"(line {error.lineno}); `make bench` writes it again.") from None


def check_schema(whole, path, name="results", number=SCHEMA, maker="`make bench` writes it again"):
    """It follows docs/NAME.schema.json."""
    import jsonschema
    version = whole.get("schema") if isinstance(whole, dict) else None
    if version != number:
        raise Refusal(f"{path} has schema {version}, and this report reads schema {number}; {maker}.")
    with open(os.path.join(TOP, f"docs/{name}.schema.json"), encoding="utf-8") as file:
        validator = jsonschema.Draft202012Validator(json.load(file))
    error = next(iter(validator.iter_errors(whole)), None)
    if error:
        place = "/".join(str(part) for part in error.absolute_path) or "the top"
        words = error.message if len(error.message) < 160 else error.message[:157] + "..."
        raise Refusal(f"{path} does not follow docs/{name}.schema.json at {place}: {words}.")


def check_commits(whole, path):
    machine = whole["machine"]
    commits = {machine["commit"], *(host.get("commit", machine["commit"])
                                    for host in machine.get("hosts", []))}
    if len(commits) > 1:
        names = ", ".join(sorted(str(commit) for commit in commits))
        raise Refusal(f"{path} mixes results of {len(commits)} commits ({names}); measure all of them "
                      "at one.")


def check_cells(whole, path):
    cells = whole["cells"]
    seen = set()
    for cell in cells:
        if cell["id"] in seen:
            raise Refusal(f"{path} has two cells named {cell['id']}.")
        seen.add(cell["id"])
        if cell["status"] == "failed":
            continue
        used = sum(not sample["dropped"] for sample in cell["samples"])
        least = 1 if cell["part"] == "peer" else LEAST[cell["method"]]  # a peer measures itself
        if used < least:
            raise Refusal(f"{path} has too few samples: {cell['id']} has {used}, and {least} are "
                          "needed.")
        if cell["derived"] is None:
            raise Refusal(f"{path} has no derived figures for {cell['id']}, which did not fail.")
    if not cells:
        raise Refusal(f"{path} has no cells at all.")


def load(path):
    """The checked data."""
    whole = read(path)
    check_schema(whole, path)
    check_commits(whole, path)
    check_cells(whole, path)
    return whole


def curves(commit):
    """(build/curves.json of `make curves`, ""), or (None, why it is not shown)."""
    path = os.path.join(TOP, "build/curves.json")
    if not os.path.exists(path):
        return None, "Not measured: `make curves` measures it, and `make report` then shows it."
    whole = read(path)
    check_schema(whole, path, "curves", 1, "`make curves` writes it again")
    if whole["commit"] != commit:
        return None, (f"Not shown: build/curves.json is of commit {whole['commit']}, and these results "
                      f"are of {commit}; `make curves` measures it anew.")
    return whole, ""


def peer():
    """build/peer-kvm.json of `make bench PEER=kvm`, or None."""
    path = os.path.join(TOP, "build/peer-kvm.json")
    if not os.path.exists(path):
        return None
    whole = read(path)
    check_schema(whole, path, "peer", 1, "`make bench PEER=kvm` writes it again")
    return whole


def published():
    """bench/published.json; None if the sources have none."""
    path = os.path.join(TOP, "bench/published.json")
    if not os.path.exists(path):
        return None
    whole = read(path)
    check_schema(whole, path, "published", 1, "it is part of the sources")
    return whole

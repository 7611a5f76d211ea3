"""Renews the examples in the documentation: `make examples` runs the command of each marked block and puts its output
there.

  scripts/examples [WORDS]     those blocks whose command has WORDS in it; all without

A block is what stands between <!-- begin: COMMAND --> and <!-- end --> in one of FILES. COMMAND is for a shell, at the
project's top. `make ... beside make ...` runs the second command meanwhile. A block that would not change is left.
"""

import os
import re
import signal
import subprocess
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FILES = ("README.md", "docs/seeing.md", "docs/measuring.md")
BLOCK = re.compile(r"<!-- begin: (make [^\n]*) -->\n(.*?)<!-- end -->\n", re.DOTALL)
SECONDS = 300
HEAD_SECONDS = 5  # of the command beside, before the other one looks


def blocks(text):
    """[(command, what stands there)]"""
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def fenced(command, output):
    return f"```\n$ {command.split(' beside ')[0]}\n{output.rstrip()}\n```\n"


def output_of(command):
    """What the command says on its standard output; the end of this program if it fails."""
    shown, _, beside = command.partition(" beside ")
    other = subprocess.Popen(beside, shell=True, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True) if beside else None
    try:
        time.sleep(HEAD_SECONDS if other else 0)
        done = subprocess.run(shown, shell=True, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
    finally:
        if other:
            os.killpg(other.pid, signal.SIGTERM)
            other.wait()
    if done.returncode:
        sys.exit(f"examples: `{shown}` ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def renew(path, words):
    with open(path, encoding="utf-8") as file:
        text = file.read()

    def renewed(match):
        if words not in match[1]:
            return match[0]
        print(f"{os.path.relpath(path, TOP)}: {match[1]}", flush=True)
        return f"<!-- begin: {match[1]} -->\n{fenced(match[1], output_of(match[1]))}<!-- end -->\n"

    new = BLOCK.sub(renewed, text)
    if new != text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)


def main(arguments):
    if arguments[:1] in (["-h"], ["--help"]) or len(arguments) > 1:
        print(__doc__)
        return 0 if len(arguments) == 1 else 2
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "GIVEN", *os.environ.get("OPTIONS", "").split()):
        os.environ.pop(name, None)  # make's own: each command sets its options itself
    for path in FILES:
        renew(os.path.join(TOP, path), arguments[0] if arguments else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

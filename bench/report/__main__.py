"""Makes build/report/ from build/bench/results.json: `make report`, or `make report RESULTS=file`.

  python3 -m bench.report [RESULTS [FOLDER]]
  python3 -m bench.report --document RESULTS FILE    only docs/results.md, and beside it the results that it
                                                     was made of, compressed: `make results`
RESULTS may be compressed (.xz, .gz).
The folder is made anew beside its place and moved there when it is whole. On bad input: one sentence,
status 1, and the old report stays.
"""

import os
import shutil
import sys
import tempfile

from .. import stored

TOOLS = {"jinja2": "python3-jinja2", "jsonschema": "python3-jsonschema",
         "matplotlib": "python3-matplotlib", "numpy": "python3-numpy"}


def missing_tools():
    """Debian packages of the libraries that are not there."""
    absent = []
    for module, package in TOOLS.items():
        try:
            __import__(module)
        except ImportError:
            absent.append(package)
    return absent


def make(whole, source, folder):
    """All parts of the report, into a folder that is empty."""
    from . import assemble
    assemble.write(whole, folder)
    with open(f"{folder}/results.json", "w", encoding="utf-8") as file:
        file.write(stored.read(source))


def replace(new, place):
    """The whole new folder for the old one."""
    old = None
    if os.path.exists(place):
        old = tempfile.mkdtemp(prefix=".report-old-", dir=os.path.dirname(place))
        os.rename(place, f"{old}/report")
    os.rename(new, place)
    if old:
        shutil.rmtree(old)


def report(source, place):
    """The whole folder."""
    from .load import load
    whole = load(source)
    place = os.path.abspath(place)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    new = tempfile.mkdtemp(prefix=".report-new-", dir=os.path.dirname(place))
    try:
        os.chmod(new, 0o755)
        make(whole, source, new)
        replace(new, place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    print(f"{os.path.relpath(place)}/index.html, report.md, csv/, tables/, figures/")


def document(source, path):
    """The page of the sources that shows the last measured figures, and those figures themselves."""
    from . import assemble
    from .load import load
    text, raw = assemble.document(load(source)), stored.packed(stored.read(source))
    kept = f"{path.removesuffix('.md')}.json.xz"
    for name, data in ((path, text.encode()), (kept, raw)):
        with open(f"{name}.new", "wb") as file:
            file.write(data)
        os.replace(f"{name}.new", name)
    print(f"{path}, {kept}")


def main(arguments):
    from .load import Refusal
    make_one = report
    if arguments[:1] == ["--document"]:
        make_one, arguments = document, arguments[1:]
    if len(arguments) > 2:
        print("report: at most a results file and a folder are expected.", file=sys.stderr)
        return 2
    absent = missing_tools()
    if absent:
        print(f"report: missing: {' '.join(absent)} (Debian's names); `scripts/setup bench` installs "
              "what is missing.", file=sys.stderr)
        return 1
    try:
        place = "docs/results.md" if make_one is document else "build/report"
        make_one(*(arguments + ["build/bench/results.json", place][len(arguments):]))
    except (Refusal, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

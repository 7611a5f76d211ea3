"""How to cite the software and these figures: a BibTeX entry from CITATION.cff and the run."""

import os
import re

from . import TOP
from .exhibit import Section

FIELDS = ("title", "version", "date-released")


def citation():
    """The fields of CITATION.cff that an entry needs."""
    with open(os.path.join(TOP, "CITATION.cff"), encoding="utf-8") as file:
        text = file.read()
    found = {name: re.search(rf'^{name}: "?(.*?)"?$', text, re.MULTILINE) for name in FIELDS}
    author = re.search(r'^  - name: "?(.*?)"?$', text, re.MULTILINE)
    return {"author": author[1], **{name: match[1] for name, match in found.items()}}


def bibtex(machine):
    """An entry for BibTeX; the note says which run the figures are of."""
    of = citation()
    year, month = of["date-released"].split("-")[:2]
    name, _, rest = of["title"].partition(":")
    changes = " with uncommitted changes" if machine["dirty"] else ""
    return "\n".join([
        f"@misc{{trident-{machine['commit']},", f"  author = {{{{{of['author']}}}}},",
        f"  title = {{{{{name}}}:{rest}}},", f"  year = {{{year}}},", f"  month = {{{int(month)}}},",
        f"  howpublished = {{Software, version {of['version']}}},",
        f"  note = {{Figures of commit {machine['commit']}{changes}, measured {machine['date'][:10]} with QEMU "
        f"{machine['qemu']} on {machine['cores']} x {machine['cpu']}}},", "}"])


def section(results):
    return Section("cite", "To cite it",
                   ["The software, and with it the run that these figures are of; the software alone is in "
                    "CITATION.cff. Keep results.json: anyone can make this report from it again."],
                   label="Cite", code=bibtex(results.whole["machine"]))

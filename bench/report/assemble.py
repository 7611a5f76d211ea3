"""All parts of the report from the checked data."""

from . import cite, classes, curves, details, load, method, overview, page, peer, published, research
from .results import Results
from .value import number

TITLE = "Trident: what each way of giving a guest a device costs"


def sections(results):
    """In the order of the page."""
    shown_curves, why = load.curves(results.whole["machine"]["commit"])
    made = [overview.section(results), details.ladder_section(results),
            research.ablation_section(results), details.register_section(results), classes.section(results),
            curves.section(results, shown_curves, why), *details.workload_sections(results),
            details.operation_section(results), peer.section(results, load.peer(), shown_curves),
            published.section(results, load.published()), method.section(results),
            cite.section(results)]
    return [section for section in made if section]


def by_chance(cell):
    """A count that need not repeat: bench/cells.py, Cell.exact."""
    return (cell["guest"] != "trident" or cell["params"].get("depth", 1) > 1
            or cell["options"].get("ABLATE") == "queue")


def warnings(results):
    """What a reader must know before the figures."""
    failed = results.find(status="failed")
    exact = [cell for cell in results.find(method="count") if not by_chance(cell)]
    unstable = [cell for cell in exact if cell["status"] == "unstable"]
    said = [results.banner] if results.banner else []
    if failed:
        said.append(f"{number(len(failed))} of {number(len(results.cells))} cells failed; each, with the "
                    "reason, is in the table of failed cells.")
    if unstable:
        said.append(f"{number(len(unstable))} of {number(len(exact))} counts that must repeat differed from "
                    "round to round: they are marked ~ and are medians.")
    return said


DOCUMENT = ("overview", "ladder", "ablation", "registers", "peer", "cite")


def document(whole):
    """docs/results.md: headline, ladder, ablation, registers, peer and how to cite it, in Markdown without
    pictures."""
    results = Results(whole)
    chosen = [section for section in sections(results) if section.name in DOCUMENT]
    text = page.markdown("Results", method.facts(whole), warnings(results), chosen, drawn=False)
    head, rest = text.split("\n\n", 1)
    return (f"{head}\n\nMade by `make results` out of a run of `make bench`; how it was measured, and what "
            f"may be concluded: [measuring.md](measuring.md). The whole report: [report.md](report.md). What was "
            f"measured, every sample of it: [results.json.xz](results.json.xz).\n\n"
            f"{rest}")


def write(whole, folder):
    """index.html, report.md, csv/, tables/ and figures/."""
    results = Results(whole)
    made, facts, said = sections(results), method.facts(whole), warnings(results)
    svgs = page.write_files(made, folder)
    page.write(f"{folder}/index.html", page.html_page(TITLE, facts, said, made, svgs))
    page.write(f"{folder}/report.md", page.markdown(TITLE, facts, said, made))

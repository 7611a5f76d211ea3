"""The sections as one HTML page, as Markdown, and as files."""

import html
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor

import jinja2

from . import svg, table

HERE = os.path.dirname(os.path.abspath(__file__))
DRAWN = []  # the exhibits, in a process that draws
WIDE = 72  # a table of more letters in a line takes the page's whole width


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def exhibits(sections):
    return [exhibit for section in sections for exhibit in section.exhibits]


def write_pictures(exhibit, folder):
    """Its figure as files; its figure, or its panels, for the page."""
    if not exhibit.figure:
        return []
    text = svg.drawn(exhibit.figure)
    write(f"{folder}/figures/{exhibit.name}.svg", text)
    svg.pdf(exhibit.figure, f"{folder}/figures/{exhibit.name}.pdf")
    if exhibit.panels:
        return [svg.inline(svg.drawn(figure), name, title, alt)
                for name, title, alt, figure in exhibit.panels]
    return [svg.inline(text, exhibit.name, exhibit.title, exhibit.alt)]


def write_numbered(number, folder):
    """write_pictures, in a process of write_files."""
    return write_pictures(DRAWN[number], folder)


def write_files(sections, folder):
    """csv/, tables/ (LaTeX) and figures/; {name of an exhibit: its SVGs for the page}."""
    for exhibit in exhibits(sections):
        write(f"{folder}/csv/{exhibit.name}.csv", table.csv_text(exhibit.table))
        write(f"{folder}/tables/{exhibit.name}.tex", table.latex(exhibit.table))
    # Drawing takes most of the time: on all cores, by processes that get the exhibits by being forked.
    every = exhibits(sections)
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork"), DRAWN.extend,
                             (every,)) as pool:
        made = pool.map(write_numbered, range(len(every)), [folder] * len(every))
        return {exhibit.name: svgs for exhibit, svgs in zip(every, made)}


def letters(of):
    """How wide a table is, about: the widest text of each column, and what is between them."""
    first = 1 if table.grouped(of) else 0
    return sum(max([len(word) for word in of.head[i].split()] + [len(of.shown(row[i]))
                                                                 for row in of.rows]) + 2
               for i in range(first, len(of.head)))


def shown(exhibit, svgs):
    """What the template needs of an exhibit."""
    files = [("CSV", f"csv/{exhibit.name}.csv"), ("LaTeX", f"tables/{exhibit.name}.tex")]
    if exhibit.figure:
        files += [(kind.upper(), f"figures/{exhibit.name}.{kind}") for kind in ("svg", "pdf")]
    wide = letters(exhibit.table) > WIDE or bool(exhibit.panels)
    return {"name": exhibit.name, "title": exhibit.title, "html": table.html_table(exhibit.table),
            "svgs": svgs, "files": files, "wide": wide}


def prose(text):
    """Escaped, with what stands between backquotes as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))


def html_page(title, facts, warnings, sections, svgs):
    """svgs: what write_files gave."""
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    with open(os.path.join(HERE, "page.css"), encoding="utf-8") as file:
        css = file.read()
    plain = [{"name": section.name, "title": section.title, "short": section.short, "code": section.code,
              "text": [prose(text) for text in section.text],
              "exhibits": [shown(exhibit, svgs[exhibit.name]) for exhibit in section.exhibits]}
             for section in sections]
    return environment.get_template("page.html.j2").render(
        title=title, facts=facts, warnings=warnings, sections=plain, css=jinja2.filters.do_mark_safe(css))


def markdown(title, facts, warnings, sections, drawn=True):
    """The same for GitHub; the pictures are files beside it, if there are any."""
    parts = [f"# {title}", facts, *(f"**{warning}**" for warning in warnings)]
    for section in sections:
        parts += [f"## {section.title}", *section.text]
        parts += [f"```\n{section.code}\n```"] if section.code else []
        for exhibit in section.exhibits:
            parts.append(f"### {exhibit.title}")
            if exhibit.figure and drawn:
                alt = exhibit.alt.replace("[", "(").replace("]", ")")
                parts.append(f"![{alt}](figures/{exhibit.name}.svg)")
            parts.append(table.github(exhibit.table).rstrip("\n"))
    return "\n\n".join(parts) + "\n"

"""The sections as one HTML page, as Markdown, and as files."""

import html
import os
import re

import jinja2

from . import svg, table

HERE = os.path.dirname(os.path.abspath(__file__))
WIDE = 84  # a table of more letters in a line takes the page's whole width


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def exhibits(sections):
    return [exhibit for section in sections for exhibit in section.exhibits]


def write_files(sections, folder):
    """csv/, tables/ (LaTeX) and figures/; {name of an exhibit: its SVG's text}."""
    texts = {}
    for exhibit in exhibits(sections):
        write(f"{folder}/csv/{exhibit.name}.csv", table.csv_text(exhibit.table))
        write(f"{folder}/tables/{exhibit.name}.tex", table.latex(exhibit.table))
        if exhibit.figure:
            texts[exhibit.name] = svg.drawn(exhibit.figure)
            write(f"{folder}/figures/{exhibit.name}.svg", texts[exhibit.name])
            svg.pdf(exhibit.figure, f"{folder}/figures/{exhibit.name}.pdf")
    return texts


def pictures(exhibit, texts):
    """The exhibit's figure, or its panels, for the page."""
    if exhibit.panels:
        return [svg.inline(svg.drawn(figure), name, title, alt)
                for name, title, alt, figure in exhibit.panels]
    if exhibit.figure:
        return [svg.inline(texts[exhibit.name], exhibit.name, exhibit.title, exhibit.alt)]
    return []


def letters(of):
    """How wide a table is, about: the widest text of each column, and what is between them."""
    first = 1 if table.grouped(of) else 0
    return sum(max([len(word) for word in of.head[i].split()] + [len(of.shown(row[i]))
                                                                 for row in of.rows]) + 2
               for i in range(first, len(of.head)))


def shown(exhibit, texts):
    """What the template needs of an exhibit."""
    files = [("CSV", f"csv/{exhibit.name}.csv"), ("LaTeX", f"tables/{exhibit.name}.tex")]
    if exhibit.figure:
        files += [(kind.upper(), f"figures/{exhibit.name}.{kind}") for kind in ("svg", "pdf")]
    wide = letters(exhibit.table) > WIDE or bool(exhibit.panels)
    return {"name": exhibit.name, "title": exhibit.title, "html": table.html_table(exhibit.table),
            "svgs": pictures(exhibit, texts), "files": files, "wide": wide}


def prose(text):
    """Escaped, with what stands between backquotes as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))


def html_page(title, facts, warnings, sections, texts):
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    with open(os.path.join(HERE, "page.css"), encoding="utf-8") as file:
        css = file.read()
    plain = [{"name": section.name, "title": section.title, "short": section.short,
              "text": [prose(text) for text in section.text],
              "exhibits": [shown(exhibit, texts) for exhibit in section.exhibits]} for section in sections]
    return environment.get_template("page.html.j2").render(
        title=title, facts=facts, warnings=warnings, sections=plain, css=jinja2.filters.do_mark_safe(css))


def markdown(title, facts, warnings, sections, drawn=True):
    """The same for GitHub; the pictures are files beside it, if there are any."""
    parts = [f"# {title}", facts, *(f"**{warning}**" for warning in warnings)]
    for section in sections:
        parts += [f"## {section.title}", *section.text]
        for exhibit in section.exhibits:
            parts.append(f"### {exhibit.title}")
            if exhibit.figure and drawn:
                alt = exhibit.alt.replace("[", "(").replace("]", ")")
                parts.append(f"![{alt}](figures/{exhibit.name}.svg)")
            parts.append(table.github(exhibit.table).rstrip("\n"))
    return "\n\n".join(parts) + "\n"

"""A table, and the four ways to write it: HTML, GitHub, LaTeX, CSV."""

import csv
import html
import io
from dataclasses import dataclass, field

from .value import SAME, Value

LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
         "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}

SMALL = ' class="same"'


@dataclass
class Table:
    """A row holds words (str) and numbers (Value). words and tail: how many leading and trailing columns
    are words; what is between is aligned to the right. notes: sentences under the table."""

    name: str  # of its files
    title: str
    head: list
    rows: list
    words: int = 1
    tail: int = 0
    digits: int = 3
    notes: list = field(default_factory=list)

    def shown(self, cell):
        return cell.text(self.digits) if isinstance(cell, Value) else str(cell)

    def is_number(self, column):
        return self.words <= column < len(self.head) - self.tail


def github(table):
    """A table for GitHub's Markdown."""
    lines = ["| " + " | ".join(table.head) + " |",
             "|" + "|".join(" ---: " if table.is_number(i) else " --- "
                            for i in range(len(table.head))) + "|"]
    for at, row in enumerate(table.rows):
        cells = ["" if repeated(table, at, i) else table.shown(cell).replace("|", "\\|")
                 for i, cell in enumerate(row)]
        lines.append("| " + " | ".join(cells) + " |")
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return "\n".join(lines) + "\n" + notes


def grouped(table):
    """Whether the first column says the same in several rows, and so may stand above them."""
    firsts = [row[0] for row in table.rows]
    return table.words > 1 and len(set(firsts)) < len(firsts)


def repeated(table, row, column):
    """Whether these leading words say what the row above says already."""
    if not row or column >= table.words - 1:
        return False
    return table.rows[row][:column + 1] == table.rows[row - 1][:column + 1]


def html_cell(table, column, cell, first=0):
    """The raw number is kept beside the rounded one, for whoever reads the page by program."""
    text, marks = html.escape(table.shown(cell)), ""
    if isinstance(cell, Value) and len(cell.parts(table.digits)) > 1:
        text = " ".join(f"<span{SMALL if part == SAME else ''}>{html.escape(part)}</span>"
                        for part in cell.parts(table.digits))
    kind = []
    if table.is_number(column):
        kind.append("n")
    elif len(text) > 60:
        kind.append("long")
    if isinstance(cell, Value):
        if cell.there:
            marks += f' data-value="{cell.value!r}"'
        else:
            kind.append("none")
            if cell.detail:
                marks += f' title="{html.escape(cell.detail, quote=True)}"'
    if kind:
        marks += f' class="{" ".join(kind)}"'
    tag = "th" if column == first else "td"
    scope = ' scope="row"' if column == first else ""
    return f"<{tag}{scope}{marks}>{text}</{tag}>"


def html_rows(table):
    """The table's bodies: one, or one for each group of rows, below what they have in common."""
    first = 1 if grouped(table) else 0
    lines, open_group = [], False
    for at, row in enumerate(table.rows):
        if first and not repeated(table, at, 0):
            lines.append("</tbody><tbody>" if open_group else "<tbody>")
            lines.append(f'<tr><th class="group" scope="rowgroup" colspan="{len(row) - 1}">'
                         f"{html.escape(table.shown(row[0]))}</th></tr>")
            open_group = True
        elif not open_group:
            lines.append("<tbody>")
            open_group = True
        cells = "".join(html_cell(table, i, row[i], first) for i in range(first, len(row)))
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody>" if open_group else ""])


def html_table(table):
    """The table in a box of its own that scrolls sideways where the page is too narrow."""
    first = 1 if grouped(table) else 0
    head = "".join(f'<th scope="col"{class_of(table, i)}>{html.escape(table.head[i])}</th>'
                   for i in range(first, len(table.head)))
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    title = html.escape(table.title, quote=True)
    return (f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
            f'<table id="table-{table.name}"><caption>{title}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n{html_rows(table)}</table></div>{notes}")


def class_of(table, column):
    return ' class="n"' if table.is_number(column) else ""


def latex_text(text):
    return "".join(LATEX.get(letter, letter) for letter in text)


def latex(table):
    """A table for a paper; needs the package booktabs."""
    columns = "".join("r" if table.is_number(i) else "l" for i in range(len(table.head)))
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex_text(table.title)}}}",
             rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
             " & ".join(latex_text(name) for name in table.head) + r" \\", r"\midrule"]
    lines += [" & ".join("" if repeated(table, at, i) else latex_text(table.shown(cell))
                         for i, cell in enumerate(row)) + r" \\" for at, row in enumerate(table.rows)]
    return "\n".join(lines + [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def csv_columns(table, column):
    """What a column of the table becomes: [(suffix, cell -> field)]."""
    cells = [row[column] for row in table.rows if isinstance(row[column], Value)]
    if not cells:
        return [("", str)]

    def of(name, plain=""):
        return lambda cell: getattr(cell, name) if isinstance(cell, Value) and cell.there else plain

    def note(cell):
        if not isinstance(cell, Value):
            return ""
        marks = [cell.why] if not cell.there else []
        marks += ["unstable"] if cell.unstable else []
        marks += [SAME] if cell.same else []
        return "; ".join(marks)

    columns = [("", lambda cell: str(cell) if not isinstance(cell, Value) else of("value")(cell))]
    if any(cell.interval for cell in cells):
        columns += [(" low", of("low")), (" high", of("high"))]
    if any(note(cell) for cell in cells):
        columns.append((" note", note))
    return columns


def csv_text(table):
    """Unrounded numbers, intervals in columns of their own, and a note where there is one."""
    plan = [(i, suffix, show) for i in range(len(table.head)) for suffix, show in csv_columns(table, i)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([table.head[i] + suffix for i, suffix, _ in plan])
    for row in table.rows:
        fields = [show(row[i]) for i, _, show in plan]
        writer.writerow(["" if field is None else field for field in fields])
    return out.getvalue()

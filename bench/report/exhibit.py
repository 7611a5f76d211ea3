"""What a section shows: a picture with its table, or a table alone."""

from dataclasses import dataclass, field

from .table import Table


@dataclass
class Exhibit:
    """figure: drawn by draw.py or picture.py, or None; alt: what it shows, in words; panels: [(name,
    title, alt, figure)], which stand for `figure` in the page, where it is too wide for a phone."""

    table: Table
    figure: object = None
    alt: str = ""
    panels: list = field(default_factory=list)

    @property
    def name(self):
        return self.table.name

    @property
    def title(self):
        return self.table.title


@dataclass
class Section:
    """text: paragraphs; name: of its anchor; short: its title in the list of sections; code: lines to copy."""

    name: str
    title: str
    text: list = field(default_factory=list)
    exhibits: list = field(default_factory=list)
    label: str = ""
    code: str = ""

    @property
    def short(self):
        return self.label or self.title


def sentence_list(words):
    """a; a and b; a, b and c."""
    words = list(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))

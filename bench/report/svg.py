"""A drawn figure as a file, and as a part of the page."""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib

from . import draw

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
VARIABLES = {draw.INK: "var(--ink)", draw.FAINT: "var(--faint)", draw.PAPER: "var(--paper)"}
REFERENCE = re.compile(r"#([\w.-]+)")


def drawn(picture):
    """The picture as the text of an SVG file, the same in every run with the same numbers."""
    out, figure = io.StringIO(), picture.figure
    with matplotlib.rc_context(draw.STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    figure.set_layout_engine("none")  # it is laid out; the PDF file needs not do it again
    return out.getvalue()


def pdf(picture, path):
    """The same as a PDF file."""
    with matplotlib.rc_context(draw.STYLE):
        picture.figure.savefig(path, metadata={"CreationDate": None, "Producer": None, "Creator": None})


def drop(root, *tags):
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}{tag}" for tag in tags}:
                parent.remove(child)


def own_names(root, prefix):
    """Several pictures are in one page: each one's names get its prefix; unused ones go."""
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == f"{{{XLINK}}}href" or "url(#" in value:
                used.update(REFERENCE.findall(value))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}-{name}")
        link = element.attrib.pop(f"{{{XLINK}}}href", None)
        if link:
            element.set("href", link.replace("#", f"#{prefix}-"))
        for key, value in element.attrib.items():
            if key == "href":
                continue
            if "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))


def colours(root):
    """The page's colours, which only a style may name by a variable."""
    for element in root.iter():
        style = element.get("style", "")
        for name in ("fill", "stroke"):
            if element.get(name) in VARIABLES:
                style += f"; {name}: {element.attrib.pop(name)}"
        for colour, variable in VARIABLES.items():
            style = style.replace(colour, variable)
        if style:
            element.set("style", style.strip("; "))


def inline(text, name, title, alt):
    """A drawn SVG for the page, with the words that stand for it."""
    root = ET.fromstring(text)
    drop(root, "metadata", "style")
    own_names(root, name)
    colours(root)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    first = ET.Element(f"{{{SVG}}}title")
    first.text = title
    root.insert(0, first)
    ET.register_namespace("", SVG)
    text = re.sub(r' xmlns="[^"]*"', "", ET.tostring(root, encoding="unicode"))
    return re.sub(r">\s+<", "><", text)

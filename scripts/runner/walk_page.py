"""What `make walk` has seen, as one HTML page that needs nothing else: one step at a time, in the lane of whoever
does it. Without a script all of it is shown."""

import html
import os
import re
import tempfile

from . import walk_steps, walk_text

NARROW = ("user", "kern", "M", "VMM", "dev", "host")  # LANES on a small screen
HERE = os.path.dirname(os.path.abspath(__file__))


def own(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def source_line(place):
    """The text of a line of the source; empty where there is none."""
    if not place or not os.path.exists(place[0]):
        return ""
    with open(place[0], encoding="utf-8") as file:
        lines = file.read().splitlines()
    return lines[place[1] - 1].strip() if place[1] <= len(lines) else ""


def guest_lane(mode):
    return "guest user" if mode == "vU" else "guest kernel"


def moments(exit, patch):
    """An exit as steps: {lane, name, text, place, changes, table}."""

    def moment(lane, name, text, place=None, changes=(), table=()):
        return {"lane": lane, "name": name, "text": text, "place": place, "changes": changes, "table": table}

    after = exit["virtual"][1]
    before = "before " if exit["scause"] & walk_text.INTERRUPT else ""
    yield moment(guest_lane(exit["mode"]), before + (exit["text"] or "(a process)"),
                 f"in {walk_text.where(exit)}", exit["source"])
    lane, why = walk_text.way_in(exit, patch)
    if lane == "M-mode":
        yield moment(lane, "OpenSBI", why)
    for step, more in walk_text.mark_repeats(exit["steps"]):
        text = walk_steps.sentence(step["name"], patch) + (f" ({more})" if more else "")
        if step["name"] == "trap_entry" and lane == "VMM":
            text = f"{why}: {text}"
        yield moment(walk_steps.lane(step["file"]), step["name"], text, [step["file"], step["line"]],
                     step["changes"])
    symbol, place = exit["next"]
    yield moment(guest_lane(after["mode"]), symbol or f"{after['pc']:#x}", walk_text.goes_on(exit), place,
                 table=[(f"{kind} {name}", values[0][name], values[1][name]) for kind, values in
                        (("real", exit["real"]), ("virtual", exit["virtual"])) for name in values[0]])


def table(head, rows):
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f"<th>{name}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>'


def moment_html(moment):
    lane = walk_steps.LANES.index(moment["lane"])
    cells = "".join(f'<span class="cell l{i}">{"<span class=dot></span>" if i == lane else ""}</span>'
                    for i in range(len(walk_steps.LANES)))
    parts = [f"<p>{moment['lane']}: {html.escape(moment['text'])}.</p>"]
    if moment["place"]:
        file, line = moment["place"]
        text = html.escape(source_line(moment["place"]))
        parts.append(f"<pre><code>{html.escape(file)}:{line}</code>\n<code>{text}</code></pre>")
    if moment["changes"]:
        rows = [(f"{kind} {name}", walk_text.show(old), walk_text.show(new))
                for kind, name, old, new in moment["changes"]]
        parts.append(table(("changes", "from", "to"), rows))
    if moment["table"]:
        rows = [(name, walk_text.show(old), walk_text.show(new), "*" if old != new else "")
                for name, old, new in moment["table"]]
        parts.append(table(("register", "at the trap", "at the sret", ""), rows))
    return (f'<li class="step" data-lane="{moment["lane"]}"><button type="button" aria-expanded="false">{cells}'
            f'<span class="name">{html.escape(moment["name"])}</span></button>'
            f'<div class="detail">{"".join(parts)}</div></li>')


def exit_html(exit, patch):
    skipped = walk_text.skipped_sentence(exit)
    skipped = f"<p>({html.escape(skipped)})</p>" if skipped else ""
    steps = "\n".join(moment_html(moment) for moment in moments(exit, patch))
    return f"<h3>{html.escape(exit['what'])}</h3>{skipped}\n<ol>\n{steps}\n</ol>"


def event_html(event, patch):
    title = walk_steps.EVENTS[event["event"]].title
    parts = [f'<section id="{event["event"]}"><h2>{html.escape(title)}</h2>']
    parts += [exit_html(exit, patch) for exit in event["exits"]]
    parts += [f"<p>{html.escape(walk_text.missing_sentence(part, patch))}</p>" for part in event["missing"]]
    return "\n".join(parts) + "</section>"


def page(patch, events):
    links = "".join(f'<li><a href="#{event["event"]}">{event["event"]}</a></li>' for event in events)
    lanes = "".join(f'<span class="l{i}"><i>{name}</i><i>{short}</i></span>'
                    for i, (name, short) in enumerate(zip(walk_steps.LANES, NARROW)))
    level = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(f"PATCH={patch}: {walk_steps.LEVELS[patch]}"))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>Trident, step by step</title>
<link rel="icon" href="data:,"/>
<style>
{own("walk_page.css")}</style>
</head>
<body>
<header><h1>Trident, step by step</h1><p>{level}</p>
<p>From a run of our own guest. The arrow keys go from step to step; a click opens one.</p></header>
<nav aria-label="Events"><ul>{links}</ul></nav>
<div class="lanes" aria-hidden="true">{lanes}<b>step</b></div>
<main>
{"".join(event_html(event, patch) for event in events)}
</main>
<div class="bar"><button type="button" class="back">back</button><output></output><button type="button" class="next">next</button></div>
<script>
{own("walk_page.js")}</script>
</body>
</html>
"""


def write(path, patch, events):
    """Writes the file, whole or not at all."""
    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".walk-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page(patch, list(events)))
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise

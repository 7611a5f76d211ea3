"""How pictures are drawn: by matplotlib, as vectors with real text, in few kinds.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; bars have a hatching and lines a
marker of their own beside. INK and the two below stand for the page's own colours: svg.py turns them
into variables, so that a picture in the page follows its dark mode.
"""

import functools

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter  # noqa: E402

from .value import number  # noqa: E402

INK, FAINT, PAPER = "#1b1b1c", "#b9b9ba", "#fffffe"
BLACK, WHITE = "#000000", "#ffffff"  # on a coloured ground, in either mode
WIDE = 4.9  # inches; on paper the width of a column of text, on a phone nearly all of it

VERMILION, ORANGE, YELLOW, GREEN = "#d55e00", "#e69f00", "#f0e442", "#009e73"
SKY, BLUE, PURPLE, GREY = "#56b4e9", "#0072b2", "#cc79a7", "#8c8c8c"

STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "trident", "pdf.fonttype": 42,
    "font.family": "sans-serif", "font.size": 9, "axes.unicode_minus": False,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK,
    "ytick.color": INK, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "axes.spines.top": False, "axes.spines.right": False,
    "grid.color": FAINT, "grid.linewidth": 0.6, "axes.axisbelow": True, "hatch.linewidth": 0.7,
    "legend.frameon": False, "legend.fontsize": 8.5, "legend.handlelength": 1.6,
    "lines.linewidth": 1.4, "lines.markersize": 6,
}


class Picture:
    """A figure that is drawn when it is first asked for: not every document has pictures."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    @functools.cached_property
    def figure(self):
        """Drawn with the style above; matplotlib's own stays as it was."""
        with matplotlib.rc_context(STYLE):
            return self.function(*self.arguments)


def styled(function):
    """Gives a Picture in place of the figure."""
    def inner(*arguments):
        return Picture(function, arguments)
    inner.__doc__ = function.__doc__
    return inner


def axes(height, width=WIDE, columns=1):
    figure = Figure(figsize=(width, height), layout="constrained")
    made = figure.subplots(1, columns, squeeze=False)[0]
    return figure, (made[0] if columns == 1 else list(made))


def on(colour):
    """Black or white, whichever is readable on this colour."""
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else WHITE


def tick(value, most):
    """An axis that reaches far has its numbers in thousands (k), millions (M) and billions (G)."""
    for letter, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)) if most > 1e5 else ():
        if value >= factor:
            return f"{number(value / factor)}{letter}"
    return number(value)


def plain_log(axis):
    """A log axis whose ticks are numbers as people write them."""
    low, high = sorted(axis.get_view_interval())
    few = low > 0 and high / low < 100
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, high)))
    axis.set_minor_formatter(NullFormatter())


def brief(x):
    """4096 as 4K: sizes on an axis are powers of two."""
    for letter, factor in (("M", 1 << 20), ("K", 1 << 10)):
        if x >= factor and x % factor == 0:
            return f"{x // factor}{letter}"
    return number(x)


def legend(axis, handles):
    """Above the axes, in as many columns as fit into the picture's width."""
    letters = [len(handle.get_label()) + 6 for handle in handles]
    columns = len(handles) if sum(letters) <= 70 else max(1, min(len(handles), 62 // max(letters)))
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.02, 1), ncols=columns,
                borderaxespad=0.3, columnspacing=1.2, handletextpad=0.5)


def rows_axis(axis, labels):
    """A category axis that reads downwards."""
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.45, -0.6)
    axis.tick_params(axis="y", length=0)


# --- Stacked bars ------------------------------------------------------------------------------------


def bar_limit(totals):
    """Where the axis ends: a bar ten times as long as the middle one does not squeeze the others."""
    ordered = sorted(total for total in totals if total)
    if not ordered:
        return 1
    usual = [total for total in ordered if total <= 10 * ordered[(len(ordered) - 1) // 2]]
    return 1.28 * usual[-1]


def one_bar(axis, y, parts, limit, looks):
    left = 0
    for name, value in parts:
        width = min(value, limit - left)
        if width <= 0:
            continue
        colour, hatch = looks[name]
        axis.barh(y, width, 0.62, left, color=colour, hatch=hatch, edgecolor=PAPER, linewidth=0.8)
        if width > 0.09 * limit:
            axis.text(left + width / 2, y, number(value, 2), ha="center", va="center", fontsize=8,
                      color=on(colour), bbox={"boxstyle": "square,pad=0.1", "facecolor": colour,
                                              "edgecolor": "none"})
        left += width
    return left


@styled
def stacked(bars, looks, label):
    """bars: [(name, [(part, value)], text at its end)]; looks: part -> (colour, hatching). A bar that
    is too long for the axis is cut, and its text says so."""
    from matplotlib.patches import Patch
    names = [name for name in looks if any(name == part and value for _, parts, _ in bars
                                           for part, value in parts)]
    limit = bar_limit([sum(value for _, value in parts) for _, parts, _ in bars])
    figure, axis = axes(0.75 + 0.36 * len(bars))
    for y, (_, parts, text) in enumerate(bars):
        end = one_bar(axis, y, parts, limit, looks)
        cut = sum(value for _, value in parts) > limit
        if cut:
            axis.text(limit * 0.985, y, f"{text}, bar cut »", ha="right", va="center", fontsize=8.5,
                      bbox={"boxstyle": "square,pad=0.25", "facecolor": PAPER, "edgecolor": "none"})
        else:
            axis.text(end + limit * 0.012, y, text, va="center", fontsize=8.5)
    rows_axis(axis, [name for name, _, _ in bars])
    axis.set_xlim(0, limit)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.grid(axis="x")
    axis.set_xlabel(label)
    if names:
        legend(axis, [Patch(facecolor=looks[name][0], hatch=looks[name][1], edgecolor=PAPER,
                              label=name) for name in names])
    return figure


# --- Points with intervals ---------------------------------------------------------------------------


@styled
def intervals(groups, looks, label, band=None, log=True):
    """groups: [(title, [(name, Value)])], one under the other; looks: name -> (colour, marker).
    band: (low, high), the control's interval, shaded; 1 is native; hollow: not to be told apart from noise."""
    rows, labels, heads = [], [], []
    for title, members in groups:
        heads.append((len(labels), title))
        labels.append("")
        for name, value in members:
            rows.append((len(labels), name, value))
            labels.append(name)
    figure, axis = axes(0.55 + 0.23 * len(labels))
    if band:
        axis.axvspan(*band, color=FAINT, alpha=0.45, linewidth=0)
    axis.axvline(1, color=INK, linewidth=0.8)
    there = [value for _, _, value in rows if value.there]
    for y, name, value in rows:
        if not value.there:
            axis.text(0.01, y, value.why, va="center", fontsize=8, style="italic",
                      transform=axis.get_yaxis_transform())
            continue
        colour, marker = looks[name]
        if value.interval:
            axis.plot([value.low, value.high], [y, y], color=colour, linewidth=2.4,
                      solid_capstyle="butt")
        face, edge, width = (PAPER, colour, 1.4) if value.same else (colour, INK, 0.5)
        axis.plot([value.value], [y], marker, color=face, markeredgecolor=edge, markeredgewidth=width)
        axis.text(1.01, y, value.text(2).split(" ")[0], va="center", fontsize=8,
                  transform=axis.get_yaxis_transform())
    for y, title in heads:
        axis.text(0, y, title, va="center", fontsize=9, weight="bold",
                  transform=axis.get_yaxis_transform())
    rows_axis(axis, labels)
    if log and there:
        axis.set_xscale("log")
        plain_log(axis.xaxis)
    axis.grid(axis="x")
    axis.set_xlabel(label)
    return figure


# --- Many measures of the same rows: dots on one line ------------------------------------------------


@styled
def dots(rows, looks, label):
    """rows: [(name, {series: Value})] on a log axis; looks: series -> (colour, marker). A zero stands
    at the left edge, marked 0."""
    from matplotlib.lines import Line2D
    lines = max((name.count("\n") + 1 for name, _ in rows), default=1)
    figure, axis = axes(0.85 + (0.14 + 0.13 * lines) * len(rows))
    positive = [value.value for _, points in rows for value in points.values()
                if value.there and value.value > 0]
    floor = min(positive, default=1) / 2.5
    for y, (_, points) in enumerate(rows):
        places = [max(value.value, floor) for value in points.values() if value.there]
        if places:
            axis.plot([min(places), max(places)], [y, y], color=FAINT, linewidth=1.2, zorder=1)
        for i, (name, value) in enumerate(points.items()):
            if not value.there:
                continue
            colour, marker = looks[name]
            axis.plot([max(value.value, floor)], [y], marker, color=colour, markeredgecolor=INK,
                      markeredgewidth=0.5, markersize=6.5 - 0.5 * i, zorder=2 + i)
    rows_axis(axis, [name for name, _ in rows])
    axis.set_xscale("log")
    plain_log(axis.xaxis)
    if any(value.there and value.value <= 0 for _, points in rows for value in points.values()):
        axis.text(floor, -0.62, "0", ha="center", va="bottom", fontsize=8)
        axis.axvline(floor, color=FAINT, linewidth=0.8, linestyle=":")
    axis.grid(axis="x")
    axis.set_xlabel(label)
    names = list(dict.fromkeys(name for _, points in rows for name in points))
    legend(axis, [Line2D([], [], color=looks[name][0], marker=looks[name][1], linestyle="",
                           markeredgecolor=INK, markeredgewidth=0.5, label=name) for name in names])
    return figure


# --- Lines over a growing number ---------------------------------------------------------------------


@styled
def growth(series, looks, x_label, y_label):
    """series: {name: [(x, Value)]}, on log axes; what is not above zero is not drawn, unless nothing is."""
    figure, axis = axes(2.9)
    log = any(value.there and value.value > 0 for points in series.values() for _, value in points)
    ticks = sorted({x for points in series.values() for x, _ in points})
    for name, points in series.items():
        seen = [(x, value) for x, value in points if value.there and (value.value > 0 or not log)]
        colour, marker = looks[name]
        axis.plot([x for x, _ in seen], [value.value for _, value in seen], color=colour,
                  marker=marker, markeredgecolor=INK, markeredgewidth=0.5, label=name)
        for x, value in seen:
            if value.interval:
                axis.plot([x, x], [value.low, value.high], color=colour, linewidth=1)
    axis.set_xscale("log", base=2)
    step = -(-len(ticks) // 8)
    axis.set_xticks(ticks[::step], [brief(x) for x in ticks[::step]])
    if log:
        axis.set_yscale("log")
        plain_log(axis.yaxis)
    axis.minorticks_off()
    axis.grid()
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    handles, _ = axis.get_legend_handles_labels()
    legend(axis, handles)
    return figure


# --- Heat map ----------------------------------------------------------------------------------------


@styled
def heat(rows, columns, cells, label):
    """cells: {(row, column): number}; darker is more, on a log scale; the number stands in the cell."""
    from matplotlib.patches import Rectangle
    palette = matplotlib.colormaps["Blues"]
    most = max(cells.values(), default=1)
    least = min((value for value in cells.values() if value > 0), default=most)
    scale = matplotlib.colors.LogNorm(least, most if most > least else least * 10)
    figure, axis = axes(0.75 + 0.245 * len(rows))
    for (row, column), value in cells.items():
        x, y = columns.index(column), rows.index(row)
        colour = palette(0.12 + 0.88 * float(scale(value))) if value > 0 else PAPER
        axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor=PAPER))
        axis.text(x, y, number(value, 2), ha="center", va="center", fontsize=8,
                  color=INK if value == 0 else on(colour))
    axis.set_xlim(-0.5, len(columns) - 0.5)
    rows_axis(axis, rows)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks(range(len(columns)), columns)
    axis.xaxis.tick_top()
    axis.tick_params(axis="x", length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_xlabel(label)
    return figure


# --- A gap in steps ----------------------------------------------------------------------------------


@styled
def steps(bars, label, looks):
    """bars: [(name, Value, kind)]: one bar each, labelled; looks: kind -> (colour, hatching)."""
    figure, axis = axes(0.45 + 0.3 * len(bars))
    most = max((value.value for _, value, _ in bars if value.there), default=1)
    for y, (_, value, kind) in enumerate(bars):
        if value.there:
            colour, hatch = looks[kind]
            axis.barh(y, value.value, 0.62, color=colour, hatch=hatch, edgecolor=PAPER)
        axis.text((value.value if value.there else 0) + most * 0.012, y, value.text(), va="center",
                  fontsize=8.5, style="normal" if value.there else "italic")
    rows_axis(axis, [name for name, _, _ in bars])
    axis.set_xlim(0, most * 1.2)
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.grid(axis="x")
    axis.set_xlabel(label)
    return figure

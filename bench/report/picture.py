"""The three strategies in one picture: which accesses of the guest trap. How many, was measured."""

from . import draw
from .draw import FAINT, INK, PAPER, VERMILION

LEFT, RIGHT = 0.2, 9.8
LAYERS = (("guest", 7.2, 9.9), ("VMM", 3.9, 6.2), ("machine", 0.9, 2.4))  # name, bottom, top
MOST_ARROWS = 7


def layers(axis):
    from matplotlib.patches import FancyBboxPatch
    for name, bottom, top in LAYERS:
        axis.add_patch(FancyBboxPatch((LEFT, bottom), RIGHT - LEFT, top - bottom, facecolor="none",
                                      boxstyle="round,pad=0,rounding_size=0.2", edgecolor=FAINT,
                                      linewidth=1.2))
        axis.text(LEFT + 0.2, top - 0.18, name, va="top", fontsize=8, style="italic")


def box(axis, x, y, text, width=3.6, height=0.85):
    from matplotlib.patches import Rectangle
    axis.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, facecolor=PAPER,
                             edgecolor=INK, linewidth=1))
    axis.text(x, y, text, ha="center", va="center", fontsize=8.5)


def arrow(axis, start, end, style="-", colour=INK):
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.1,
                                              "linestyle": style, "shrinkA": 0, "shrinkB": 0,
                                              "mutation_scale": 9})


def trap(axis, x, y=6.2):
    axis.plot([x], [y], "X", color=VERMILION, markeredgecolor=INK, markeredgewidth=0.5, markersize=7,
              zorder=5)


def emulated(axis, arrows, traps):
    box(axis, 5, 8.2, "ordinary driver", 4)
    box(axis, 5, 4.75, "device model", 4)
    box(axis, 5, 1.5, "disk, UART")
    for i in range(arrows):
        x = 5 + (i - (arrows - 1) / 2) * 3.2 / max(arrows - 1, 1)
        arrow(axis, (x, 7.77), (x, 5.18))
        if i < traps:
            trap(axis, x)
    arrow(axis, (5, 4.32), (5, 1.93))
    axis.text(9.6, 6.7, "every register\naccess", ha="right", va="center", fontsize=7.5)
    trap(axis, 7.7, 5.7)
    axis.text(8.05, 5.68, "a trap", va="center", fontsize=7.5)


def virtio(axis, arrows, traps):
    from matplotlib.patches import Rectangle
    box(axis, 3.0, 8.2, "virtio driver", 3.4)
    for i in range(4):
        axis.add_patch(Rectangle((6.0 + i * 0.75, 7.8), 0.75, 0.8, facecolor=PAPER, edgecolor=INK))
    axis.text(7.5, 8.75, "queue in memory", ha="center", fontsize=7.5)
    arrow(axis, (4.7, 8.2), (6.0, 8.2))
    box(axis, 5, 4.75, "queue processing", 4.6)
    box(axis, 5, 1.5, "disk, UART")
    for i in range(arrows):
        x = 3.4 + (i - (arrows - 1) / 2) * min(0.6, 1.8 / max(arrows - 1, 1))
        arrow(axis, (x, 7.77), (x, 5.18))
        if i < traps:
            trap(axis, x)
    arrow(axis, (7.2, 5.18), (7.2, 7.8), ":")
    arrow(axis, (5, 4.32), (5, 1.93))
    axis.text(6.95, 6.7, "many requests\nby one notify", ha="right", va="center", fontsize=7.5)


def passthrough(axis, *_):
    box(axis, 5, 8.2, "the machine's own driver", 5.6)
    box(axis, 7.4, 4.75, "vPLIC", 2.2)
    box(axis, 5.4, 1.5, "disk, UART", 5.4)
    arrow(axis, (3.3, 7.77), (3.3, 1.93))
    axis.text(3.05, 5.05, "registers\nmapped", ha="right", va="center", fontsize=7.5)
    arrow(axis, (7.4, 1.93), (7.4, 4.32))
    trap(axis, 7.4, 3.9)
    arrow(axis, (7.4, 5.18), (7.4, 7.77))
    axis.text(7.1, 3.1, "interrupt", ha="right", va="center", fontsize=7.5)
    axis.text(7.1, 6.7, "injected", ha="right", va="center", fontsize=7.5)


PANELS = {"emulated": ("Emulated", emulated), "virtio": ("Virtio (paravirtual)", virtio),
          "passthrough": ("Pass-through", passthrough)}


def some(count):
    """How many arrows stand for so many."""
    return min(MOST_ARROWS, max(1, round(4 if count is None else count)))


def panel(axis, name, counts, words):
    """One strategy. counts: its register accesses and register traps for one request, None if that was
    not measured; words: what stands below."""
    title, paint = PANELS[name]
    axis.set_xlim(0, 10)
    axis.set_ylim(-0.9, 11)
    axis.axis("off")
    axis.text(5, 10.5, title, ha="center", va="center", fontsize=10.5, weight="bold")
    layers(axis)
    paint(axis, *map(some, counts))
    axis.text(5, 0.72, words, ha="center", va="top", fontsize=8.5, linespacing=1.3)


@draw.styled
def alone(name, counts, words):
    """One panel, for a narrow page."""
    figure, axis = draw.axes(3.4, 2.9)
    figure.set_layout_engine("none")
    axis.set_position((0, 0, 1, 1))
    panel(axis, name, counts, words)
    return figure


@draw.styled
def together(parts):
    """All three side by side, for paper. parts: {name: (counts, words)}"""
    figure, made = draw.axes(3.4, 8.7, len(parts))
    figure.set_layout_engine("none")
    for i, (axis, (name, (counts, words))) in enumerate(zip(made, parts.items())):
        axis.set_position((i / len(parts), 0, 1 / len(parts), 1))
        panel(axis, name, counts, words)
    return figure

"""What the plugin counted (plugin.c): executed instructions by address, for each stretch between
two hints."""

from scripts.runner import options as front_door
from ..workloads import marks

PLUGIN = "build/attribute/plugin.so"


class Stretch:
    """counts: {address: executions}. total: of all; the plugin counts it apart from these."""

    def __init__(self):
        self.counts, self.total = {}, None


def read(lines):
    """The stretches of the plugin's file, in the order in which they ran."""
    stretches = []
    for line in lines:
        word, _, number = line.rstrip("\n").partition(" ")
        if word == "begin":
            stretches.append(Stretch())
        elif word == "end":
            stretches[-1].total = int(number)
        else:
            stretches[-1].counts[int(word, 16)] = int(number)
    return stretches


def difference(of, without):
    """{address: executions} of one stretch less those of another; chance may make them negative."""
    counts = {address: of.counts.get(address, 0) - without.counts.get(address, 0)
              for address in of.counts.keys() | without.counts.keys()}
    return {address: count for address, count in counts.items() if count}


def by_mark(stretches, order):
    """{(operation, "with" or "without"): stretch}. order: those that the guest's marks named, one
    after the other; of one that ran again the last time counts."""
    whole = [stretch for stretch in stretches if stretch.total is not None]
    if len(whole) != len(order) or len(stretches) != len(order):
        raise marks.Failure(f"the guest marked {len(order)} stretches, and the plugin saw "
                            f"{len(stretches)}, {len(whole)} of them to their ends")
    return dict(zip(order, stretches))


def check_plugins(output_of):
    """Refuses a QEMU without plugins. output_of: runs a command; None if it fails."""
    if output_of("qemu-system-riscv64", "-plugin", "help") is None:
        raise front_door.Refusal("this QEMU was built without TCG plugins, and it is a plugin that "
                                 "counts: use a QEMU of Debian's.")

"""What the plugin counted (plugin.c): executed instructions by address, for each stretch between two hints."""

from scripts.runner import options as front_door
from ..workloads import marks

PLUGIN = "build/attribute/plugin.so"


class Stretch:
    """counts: {address: executions}. total: of all, which the plugin has counted apart from these."""

    def __init__(self):
        self.counts, self.total = {}, None

    def add(self, address, count):
        self.counts[address] = self.counts.get(address, 0) + count


def read(lines):
    """The stretches of the plugin's file, in the order in which they ran."""
    stretches = []
    for line in lines:
        word, _, number = line.partition(" ")
        if line.strip() == "begin":
            stretches.append(Stretch())
        elif word == "end":
            stretches[-1].total = int(number)
        else:
            stretches[-1].add(int(word, 16), int(number))
    return stretches


def difference(of, without):
    """{address: executions} of one stretch less those of another; less than none where chance has it so."""
    counts = {address: of.counts.get(address, 0) - without.counts.get(address, 0)
              for address in of.counts.keys() | without.counts.keys()}
    return {address: count for address, count in counts.items() if count}


def by_mark(path, order):
    """{(operation, "with" or "without"): stretch}. order: those in which the guest printed its marks; what it did
    again counts as it was the last time."""
    with open(path, encoding="utf-8") as file:
        stretches = read(file)
    if len(stretches) != len(order) or any(stretch.total is None for stretch in stretches):
        raise marks.Failure(f"the plugin saw {len(stretches)} stretches, not all of them to their ends, and the guest "
                            f"marked {len(order)}")
    return dict(zip(order, stretches))


def check_plugins(output_of):
    """Refuses a QEMU that was built without plugins. output_of: runs a command; None if it fails."""
    if output_of("qemu-system-riscv64", "-plugin", "help") is None:
        raise front_door.Refusal("this QEMU was built without TCG plugins (qemu-system-riscv64 -plugin help fails), and "
                                 "a plugin is what counts here: use Debian's QEMU.")

"""N consecutive boots of our guest, rotated over the strategies: each must power off with status 0.

  bench/boots [N]        `make boots N=200` builds first
Prints a line per failure and, at the end, `N passed, N failed`.
"""

import itertools
import os
import sys
import time

from . import cells, measure, schedule

FOLDER = "build/bench"
COMMANDS = "mem; disk read 0 8"
READ = "disk read: 8 sectors"


def boot(strategy, disk):
    """Why it failed, and its console; empty if it did not."""
    seen = measure.run_guest(measure.parse(strategy.options, MEM="128M", RUN=COMMANDS, DISK_IMG=disk))
    if not seen["why"] and READ not in seen["console"]:
        return "the guest did not read its disk", seen["console"]
    return seen["why"], seen["console"]


def main(arguments):
    os.chdir(measure.TOP)
    if len(arguments) > 1 or not all(word.isdigit() and int(word) > 0 for word in arguments):
        print("boots: N must be a number above 0.", file=sys.stderr)
        return 2
    total = int(arguments[0]) if arguments else 200
    os.makedirs(FOLDER, exist_ok=True)
    disk = f"{FOLDER}/boots.img"
    if not os.path.exists(disk):
        schedule.create_disk(disk)
    strategies = cells.VMM
    failed, begin = 0, time.monotonic()
    for i, name in zip(range(total), itertools.cycle(strategies)):
        why, console = boot(cells.STRATEGIES[name], disk)
        if why:
            failed += 1
            log = f"{FOLDER}/boot-{i + 1}.log"
            with open(log, "w", encoding="utf-8") as file:
                file.write(console)
            print(f"\nboot {i + 1}, {name}: {why}; its console is in {log}")
        print(f"\r{i + 1} of {total} boots, {failed} failed, {time.monotonic() - begin:.0f} s ",
              end="", flush=True)
    print(f"\n{total - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Resets: the guest reboots the machine with requests in flight; the disk's driver goes and comes back.

  reset.py [STRATEGY...] [--reboots N] [--reloads N]
"""

import argparse
import re
import sys

from .guest import STRATEGIES, Failed, disk_of, program, require, run_script

SIZE = 64 << 20


def reboots(device, times, tmp):
    disk_of(f"{tmp}/disk.img", SIZE)
    guest = run_script(device, f"reboots {times}", tmp, timeout=60 + 40 * times)
    boots = [int(n) for n in re.findall(rf"^boot (\d+) of {times}$", guest.text, re.MULTILINE)]
    if boots != list(range(times + 1)):
        raise Failed(f"{device}: the boots were {boots}\n{guest.text[-3000:]}")
    return f"reboots {device}: {times} with requests in flight"


def reloads(device, times, tmp, before="true"):
    """before: a command that the guest carries out first. The finished guest, and a sentence."""
    disk_of(f"{tmp}/disk.img", SIZE)
    guest = run_script(device, f"{before}; reload {times}", tmp, timeout=120 + 10 * times)
    done = re.findall(rf"^reload: ({times} of .*)", guest.text, re.MULTILINE)
    require(len(done) == 2, f"{device}: done was {done}\n{guest.text[-3000:]}")
    return guest, f"reload {device}: {', '.join(done)}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--reboots", type=int, default=20)
    parser.add_argument("--reloads", type=int, default=50)
    arguments = parser.parse_args()


    def test(tmp):
        for device in arguments.strategies:
            if arguments.reboots:
                yield reboots(device, arguments.reboots, tmp)
            if arguments.reloads:
                yield reloads(device, arguments.reloads, tmp)[1]

    return program(test)


if __name__ == "__main__":
    sys.exit(main())

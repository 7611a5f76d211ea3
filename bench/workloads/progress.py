"""Which boot of how many this is, and how long the rest will take: the lines of `make bench`, for programs that boot
their guests themselves. A program says its plan first; a boot that is in no plan says nothing.
"""

import contextlib
import time

from .. import schedule


class Clock(schedule.Clock):
    """Time left, of boots that are known by name and by what each usually takes."""

    def __init__(self, boots):
        self.planned, self.usual, self.taken = {}, {}, {}
        for name, seconds in boots:
            self.planned[name] = self.planned.get(name, 0) + 1
            self.usual[name] = seconds


class Plan:
    """boots: [(name, seconds that it usually takes)], in any order. say: where the lines go."""

    def __init__(self, boots, say=lambda line: print(line, flush=True)):
        self.clock, self.total, self.number, self.say = Clock(boots), len(boots), 0, say

    @contextlib.contextmanager
    def boot(self, name):
        self.number += 1
        self.say(f"[{self.number}/{self.total}] {self.clock.left()} left  {name}")
        begin = time.monotonic()
        yield
        self.clock.note(name, time.monotonic() - begin)

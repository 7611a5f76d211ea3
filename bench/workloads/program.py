"""A C program of some thousand lines, always the same: what the compile workload compiles.

Of every kind of thing that a compiler spends its time on there is some: structures, tables, loops,
switches, calls, 64-bit and floating-point arithmetic. It needs no headers.
"""

import random

HEAD = """\
typedef unsigned long u64;
struct node { u64 key; int weight; double mean; struct node *next; };
static const u64 primes[8] = {2, 3, 5, 7, 11, 13, 17, 19};
"""
OPERATORS = ("+", "-", "*", "^", "|", "&")


def expression(source, depth):
    if depth == 0:
        return source.choice(("a", "b", "x", f"{source.randrange(1, 1 << 16)}ul", "primes[a % 8]"))
    left, right = expression(source, depth - 1), expression(source, depth - 1)
    return f"({left} {source.choice(OPERATORS)} {right})"


def function(source, number):
    """About 25 lines."""
    lines = [f"u64 function_{number}(u64 a, u64 b, struct node *list)", "{", "    u64 x = a;"]
    lines += [f"    for (u64 i = 0; i < (b & {source.randrange(7, 63)}); i++) {{",
              f"        x += {expression(source, 3)};",
              f"        if (x > {source.randrange(1 << 20)}ul)",
              f"            x ^= {expression(source, 2)};", "    }",
              f"    switch (x % {source.randrange(5, 9)}) {{"]
    for case in range(4):
        lines += [f"    case {case}:", f"        x = {expression(source, 2)};", "        break;"]
    lines += ["    default:", "        x++;", "    }",
              "    for (; list; list = list->next) {",
              f"        list->mean = list->mean * 0.{source.randrange(1, 9)} + (double)x;",
              f"        list->weight += (int)(x >> {source.randrange(1, 32)});", "    }"]
    if number:
        lines.append(f"    x += function_{source.randrange(number)}(b, x, 0);")
    return "\n".join(lines + ["    return x;", "}", ""])


def make(functions):
    source = random.Random(4)
    return HEAD + "\n" + "\n".join(function(source, number) for number in range(functions))

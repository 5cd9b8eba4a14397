"""Count the instructions of a listing of ACO, the compiler of Mesa's driver for AMD."""

import collections
import re

LABEL = re.compile(r"^(BB\d+):")
INSTRUCTION = re.compile(r"^\s+([a-z]\w+)([^;]*)")
# By the first that an instruction's name begins with.
KINDS = [
    ("fma", ("v_fma", "v_mad_mix", "v_pk_fma", "v_dot2", "v_dual_fma", "v_wmma")),
    ("integer multiply", ("v_mul_lo", "v_mul_hi", "v_mad_u64", "v_mad_i64", "v_mul_u32", "v_mad_u32")),
    ("load", ("buffer_load", "global_load", "flat_load")),
]


def kind(name):
    """Say what an instruction does, if it is counted."""
    return next((kind for kind, starts in KINDS if name.startswith(starts)), None)


def instructions(listing):
    """Return the instructions as (name, operands), and the index that each label stands before."""
    found, labels = [], {}
    for line in listing.splitlines():
        if match := LABEL.match(line):
            labels[match[1]] = len(found)
        elif match := INSTRUCTION.match(line):
            found.append((match[1], match[2]))
    return found, labels


def loops(found, labels):
    """Yield the first and the last index of each loop."""
    for end, (name, operands) in enumerate(found):
        target = re.search(r"\bBB\d+\b", operands) if "branch" in name else None
        start = labels.get(target[0], end + 1) if target else end + 1
        if start <= end:
            yield start, end


def counted(body):
    """Count the instructions by kind."""
    kinds = collections.Counter(kind(name) for name, _ in body)
    # The second of a pair that is issued at once.
    kinds["fma"] += sum("v_dual_fma" in operands for _, operands in body)
    return kinds


def inner_loop(listing):
    """Count the loop that does the work, and what the loop around it has beside it.

    It is the smallest with the most multiply-adds; without any, with the most loads. Nothing says how often a loop runs.
    """
    found, labels = instructions(listing)
    every = [(start, end, counted(found[start : end + 1])) for start, end in loops(found, labels)]
    best = max(every, key=lambda loop: (loop[2]["fma"], not loop[2]["fma"] and loop[2]["load"], loop[0] - loop[1]), default=None)
    if best is None:
        return dict.fromkeys(("loop", "loop_fmas", "loop_integer_multiplies", "around", "around_integer_multiplies"), 0)
    start, end, kinds = best
    outer = [loop for loop in every if loop[0] <= start and end <= loop[1] and loop != best]
    around = min(outer, key=lambda loop: loop[1] - loop[0], default=best)
    return {
        "loop": end - start + 1,
        "loop_fmas": kinds["fma"],
        "loop_integer_multiplies": kinds["integer multiply"],
        "around": around[1] - around[0] - (end - start),
        "around_integer_multiplies": around[2]["integer multiply"] - kinds["integer multiply"],
    }

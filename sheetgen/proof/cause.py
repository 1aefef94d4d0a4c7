"""Which tensor is wrong by itself, and which only because of what it is made from."""

from __future__ import annotations

import dataclasses

from sheetgen.proof.report import Difference
from sheetgen.trace.recorder import Trace


def cause_first(values: list[Difference], formulas: list[Difference], trace: Trace) -> list[Difference]:
    """The tensor that is wrong by itself before those that are wrong because of it.

    A formula may be off by so little that only what is made from it leaves the tolerance.
    """
    wrong = {d.path: d for d in formulas}
    told = [values[0], *(dataclasses.replace(d, cause=d.path in wrong) for d in values[1:])]
    told = [dataclasses.replace(d, explanation=wrong[d.path].explanation) if d.path in wrong else d for d in told]
    told = [d if d.cause else dataclasses.replace(d, explanation="") for d in told]
    first = values[0].path
    if first in wrong or first not in trace.blocks:
        return told
    above, waiting = set(), [trace[first]]
    while waiting:
        for operand in waiting.pop().blocks_used():
            if operand.path not in above:
                above.add(operand.path)
                waiting.append(operand)
    cause = next((d for path, d in wrong.items() if path in above), None)
    return [cause, dataclasses.replace(told[0], cause=False, explanation=""), *told[1:]] if cause else told

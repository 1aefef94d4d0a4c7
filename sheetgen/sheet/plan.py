"""What goes where: in which band and lane each block of a frame stands, before anything has an address.

The rules, from outside in:
* Frames (layer, attention, head, expert …) stand one below the other; tokens keep their columns all the way down.
* In a frame, bands stand one below the other and never share rows, so that a row inserted through one band grows
  only what has the same rows there (the weights of Q, Q, and Q rotated).
* In a band, lanes stand side by side. A block goes below what it is made from, in its lane, or beside it, one lane on.
* In a lane, what multiplies from the left stands to the left of the product; a row that sums up a block (its maximum)
  stands under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sheetgen.sheet.formula import parts_of
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Block

HEADER = 2  # rows above a block: its title and the names of its columns
CONTROLS = "control"  # path of the frame that is laid out as tables, not as bands


@dataclass(eq=False)
class Slot:
    """A block with what stands to its left and the rows that sum it up under it."""

    body: Block
    lane: int
    lefts: list[Block] = field(default_factory=list)
    feet: list[Block] = field(default_factory=list)

    @property
    def compact(self) -> bool:
        """One row that needs no header: its name stands to the left of it."""
        return self.body.rows == 1 and not self.lefts

    @property
    def left_width(self) -> int:
        return sum(left.columns for left in self.lefts)

    @property
    def width(self) -> int:
        return max(t.columns for t in (self.body, *self.feet)) + self.body.starts_at


@dataclass(eq=False)
class Band:
    """Slots side by side, at most one in each lane."""

    slots: dict[int, Slot] = field(default_factory=dict)

    @property
    def header(self) -> int:
        return 0 if all(slot.compact for slot in self.slots.values()) else HEADER

    @property
    def height(self) -> int:
        return self.header + max(slot.body.rows + len(slot.feet) for slot in self.slots.values())


@dataclass(eq=False)
class Plan:
    """A frame with its bands and inner frames in order."""

    frame: Frame
    items: list[Band | Plan] = field(default_factory=list)

    @property
    def bands(self) -> list[Band]:
        return [item for item in self.items if isinstance(item, Band)]

    @property
    def inner(self) -> list[Plan]:
        return [item for item in self.items if isinstance(item, Plan)]

    @property
    def depth(self) -> int:
        """How many frames stand one inside the other, this one included."""
        return 1 + max((plan.depth for plan in self.inner), default=0)

    def all_slots(self) -> Iterator[Slot]:
        """Its slots and those of the frames in it."""
        for band in self.bands:
            yield from band.slots.values()
        for plan in self.inner:
            yield from plan.all_slots()


def plan_of(frame: Frame) -> Plan:
    """The bands of a frame and the plans of the frames in it."""
    planner = _Planner(Plan(frame))
    if frame.path != CONTROLS:
        for item in frame.items:
            planner.add(item)
        planner.end()
    return planner.plan


@dataclass
class _Planner:
    """The plan of one frame as far as its blocks have come, in the order of computation."""

    plan: Plan
    slot_of: dict[Block, Slot] = field(default_factory=dict)
    band_of: dict[Slot, Band] = field(default_factory=dict)
    waiting: list[Block] = field(default_factory=list)  # blocks that stand left of a block still to come

    def add(self, item: Block | Frame) -> None:
        """The next block or frame."""
        if isinstance(item, Frame):
            self.plan.items.append(plan_of(item))
        elif item.where == "left":
            self.waiting.append(item)
        elif item.where == "foot":
            self.stand_under(next(reversed(self.slot_of.values())), item)
        else:
            self.place(item, self.source(item))

    def end(self) -> None:
        """Blocks that still wait: nobody with as many rows came after them."""
        while self.waiting:
            self.stand_in_new_slot(self.waiting.pop(0), 0, None)

    def place(self, block: Block, source: Slot | None) -> None:
        """Under its source, beside it, or below it."""
        if source and any(part.op.reduces for part in parts_of(block)):
            self.stand_under(source, block)
        elif source and block.where == "beside":
            band, lane = self.band_of[source], source.lane + 1
            while lane in band.slots:
                lane += 1
            self.stand_in_new_slot(block, lane, band)
        else:
            factor = self.left_factor(block)
            level = self.band_of[factor] if factor else None
            joins = level is not None and level is self.plan.items[-1]
            self.stand_in_new_slot(block, source.lane if source else 0, level if joins else None)

    def stand_under(self, slot: Slot, block: Block) -> None:
        """As a row that sums up a slot's body."""
        slot.feet.append(block)
        self.slot_of[block] = slot

    def stand_in_new_slot(self, block: Block, lane: int, band: Band | None) -> None:
        """In a lane of a band, or of a new one when there is no room; blocks that wait and fit stand left of it."""
        if band is None or lane in band.slots:
            band = Band()
            self.plan.items.append(band)
        fitting = [left for left in self.waiting if left.rows == block.rows]
        self.waiting = [left for left in self.waiting if left not in fitting]
        slot = Slot(block, lane, fitting)
        band.slots[lane] = slot
        self.slot_of[block], self.band_of[slot] = slot, band

    def source(self, block: Block) -> Slot | None:
        """The slot of this frame that a block follows: its right-hand factor, else the latest block it uses."""
        for product in parts_of(block):
            if product.op.axes == "product" and product.operands[1] in self.slot_of:
                return self.slot_of[product.operands[1]]
        used = [each for each in block.blocks_used() if each in self.slot_of]
        order = list(self.slot_of)
        if (
            block.where == "below" and block.op.axes != "product"
        ):  # a sum of what stands side by side goes on at the left
            return min((self.slot_of[each] for each in used), key=lambda slot: slot.lane, default=None)
        if used:
            return self.slot_of[max(used, key=order.index)]
        last = self.plan.items[-1] if self.plan.items else None
        # Carried here from another frame, to be added.
        return last.slots[0] if block.where == "beside" and isinstance(last, Band) else None

    def left_factor(self, block: Block) -> Slot | None:
        """The slot of a left-hand factor that is itself computed here (V in V·pattern): the product stands level."""
        for product in parts_of(block):
            if product.op.axes == "product" and product.operands[0] in self.slot_of:
                return self.slot_of[product.operands[0]]
        return None

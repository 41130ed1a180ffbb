"""What `ReviewSession` gives and takes, in plain values that JSON can hold. K classes."""

from __future__ import annotations

from typing import Literal, NamedTuple, NotRequired, TypedDict


class Filters(NamedTuple):
    """Which pictures are asked for; what is ``None`` restricts nothing.

    Attributes:
        label: The name of the class in the data.
        proposal: The name of the class that the network says.
        group: The name of the group.
        decided: ``yes`` or ``no`` for those with or without a decision.
        disagrees: Only those where the proposal is not the label.
        ids: Only these, whatever the order.
    """

    label: str | None = None
    proposal: str | None = None
    group: str | None = None
    decided: Literal["yes", "no", "all"] = "all"
    disagrees: bool = False
    ids: tuple[int, ...] | None = None


class Neighbour(TypedDict):
    """A picture that looks alike to the network.

    ``distance`` is the cosine distance of the features, 0 to 2; ``label`` is what holds now.
    """

    id: int
    name: str
    label: str
    distance: float


class Item(TypedDict):
    """A picture with all that the page shows beside it.

    ``label`` is that of the data; ``decision`` and ``new_label`` are ``None`` where nothing is decided, ``new_label``
    also where the picture is left out or unsure. ``probability`` is that of the proposal, ``doubt`` that of the label
    which holds now, both 0 to 1; ``None`` where no head has seen the class without the picture. ``group`` is ``None``
    without groups.
    """

    id: int
    name: str
    label: str
    proposal: str | None
    probability: float | None
    doubt: float | None
    group: str | None
    decision: str | None
    new_label: str | None
    findings: list[str]
    neighbours: list[Neighbour]


class Page(TypedDict):
    """A part of the pictures that were asked for, the most doubtful first, and how many there are in all."""

    total: int
    version: int
    items: list[Item]


class Order(TypedDict):
    """The ids of all pictures that were asked for, the most doubtful first."""

    version: int
    ids: list[int]


class Counts(TypedDict):
    """Numbers of pictures: all, and those decided by decision."""

    pictures: int
    decided: int
    changed: int
    excluded: int
    unsure: int
    kept: int


class Score(TypedDict):
    """Shares of right answers out of fold, 0 to 1.

    ``now`` is measured on the labels as decided, ``low`` and ``high`` are the ends of its 95 % interval; ``would_be``
    is the same if the likely wrong labels that are not decided yet became what the network says. All are ``None`` where
    nothing can be measured, such as with one picture of each class.
    """

    now: float | None
    low: float | None
    high: float | None
    would_be: float | None


class State(TypedDict):
    """All that the page shows of the whole; ``worth_looking`` counts undecided labels that are likely wrong.

    ``pool`` is another one for other pictures: what a page sends with it is refused then.
    """

    title: str
    pool: str
    folder: str
    list: str
    class_names: list[str]
    group_names: list[str]
    counts: Counts
    score: Score
    worth_looking: int
    version: int
    solving: bool
    remark: str


class GivenDecision(TypedDict):
    """A decision as the page sends it: ``keep``, ``change`` (with the label), ``exclude`` or ``unsure``."""

    id: int
    decision: str
    label: NotRequired[str | None]


class Undone(TypedDict):
    """The pictures whose decisions were taken back, and the state after it."""

    ids: list[int]
    state: State


class Marks(TypedDict):
    """What holds for each picture, in the order of the ids, for the map.

    ``labels`` and ``proposals`` are numbers of class names (``proposals`` -1 where there is none), ``decided`` 0 or 1.
    """

    version: int
    labels: list[int]
    proposals: list[int]
    decided: list[int]


class Map(TypedDict):
    """Positions of all pictures in the order of their ids, from 0 to 1 each; empty until ``ready``."""

    ready: bool
    x: list[float]
    y: list[float]

"""Views: the ways in which an image is shown to a trained model at test time.

A plan writes `identity`, `{rotate: 5}` or `{five_crop: 200}`; what is computed and kept are single
views, of which five crops are five.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from foodvision.plan.messages import show, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ViewKind = Literal[
    "identity",
    "horizontal_flip",
    "vertical_flip",
    "rotate",
    "shift",
    "brightness",
    "contrast",
    "saturation",
    "crop",
]
Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right", "centre"]
ViewChoice = str | dict[str, int | float | list[int]]

PLAIN = ("identity", "horizontal_flip", "vertical_flip")
CORNERS: tuple[Corner, ...] = ("top_left", "top_right", "bottom_left", "bottom_right", "centre")
MAX_FACTOR = 10.0
MAX_SHIFT = 4096
_FACTORS = ("brightness", "contrast", "saturation")


@dataclass(frozen=True, order=True)
class View:
    """One way to look at an image.

    Attributes:
        kind: what is done to it.
        amount: degrees of `rotate` (anticlockwise), pixels of `shift` (right, down), the factor of
            a colour; none of the others.
        edge: of a `crop`, in pixels; it is resized to the image's size.
        corner: of a `crop`.
    """

    kind: ViewKind
    amount: tuple[float, ...] = ()
    edge: int = 0
    corner: Corner | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, without what the kind does not have."""
        whole = {
            "kind": self.kind,
            "amount": list(self.amount),
            "edge": self.edge,
            "corner": self.corner,
        }
        return {name: value for name, value in whole.items() if value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> View:
        """Read back what `to_json` wrote."""
        return cls(
            value["kind"],
            tuple(value.get("amount", ())),
            value.get("edge", 0),
            value.get("corner"),
        )

    @property
    def text(self) -> str:
        """Return it in words: `rotate 5`, `crop 200 top left`."""
        parts = [self.kind, *(f"{number:g}" for number in self.amount)]
        if self.corner:
            parts += [str(self.edge), self.corner]
        return " ".join(parts).replace("_", " ")

    def misfit(self, size: int) -> str | None:
        """Return why the view does not fit images of so many pixels; `None` where it does."""
        if self.kind == "crop" and self.edge >= size:
            return (
                f"five_crop ({self.edge}) must be smaller than the images of {size} x {size} "
                "pixels: write a smaller crop, or raise transform.size"
            )
        if self.kind == "shift" and max(map(abs, self.amount)) >= size:
            return (
                f"shift ({self.amount[0]:g}, {self.amount[1]:g}) must leave something of images of "
                f"{size} x {size} pixels: write a smaller shift"
            )
        return None


IDENTITY = View("identity")


def view_problem(choice: Any) -> str | None:
    """Return which rule a view of a plan breaks; `None` where it breaks none."""
    if isinstance(choice, str):
        return _unknown(choice) if choice not in PLAIN else None
    if not isinstance(choice, dict) or len(choice) != 1:
        rule = "must be one of these words, or a mapping with one key"
        return f"{rule}, got {show(choice)}{_known()}"
    ((kind, amount),) = choice.items()
    return _RULES[kind](amount) if kind in _RULES else _unknown(str(kind))


def single_views(choices: Sequence[ViewChoice]) -> tuple[View, ...]:
    """Return the single views that a plan's list stands for, each once, in a fixed order.

    Args:
        choices: each without a problem.
    """
    return tuple(sorted({view for choice in choices for view in _views(choice)}))


def _views(choice: ViewChoice) -> tuple[View, ...]:
    if isinstance(choice, str):
        return (View(choice),)  # type: ignore[arg-type]
    ((kind, amount),) = choice.items()
    if kind == "five_crop":
        edge = int(amount)  # type: ignore[arg-type]
        return tuple(View("crop", edge=edge, corner=corner) for corner in CORNERS)
    numbers = amount if isinstance(amount, list) else [amount]
    return (View(kind, tuple(float(number) for number in numbers)),)  # type: ignore[arg-type]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _rotate_problem(amount: Any) -> str | None:
    if _is_number(amount) and amount != 0 and abs(amount) <= 180:
        return None
    return f"rotate must be degrees in [-180, 180] and not 0, got {show(amount)}"


def _shift_problem(amount: Any) -> str | None:
    is_pair = isinstance(amount, list) and len(amount) == 2 and all(map(_is_whole, amount))
    if is_pair and any(amount) and max(map(abs, amount)) <= MAX_SHIFT:
        return None
    return (
        f"shift must be [right, down] in whole pixels of at most {MAX_SHIFT}, not both 0, "
        f"got {show(amount)}"
    )


def _crop_problem(amount: Any) -> str | None:
    if _is_whole(amount) and amount >= 1:
        return None
    return f"five_crop must be the edge of the crops in whole pixels, got {show(amount)}"


def _factor_problem(kind: str) -> Callable[[Any], str | None]:
    def problem(amount: Any) -> str | None:
        if _is_number(amount) and 0 < amount <= MAX_FACTOR and amount != 1:
            return None
        return f"{kind} must be a factor in (0, {MAX_FACTOR:g}] and not 1, got {show(amount)}"

    return problem


_RULES: Mapping[str, Callable[[Any], str | None]] = {
    "rotate": _rotate_problem,
    "shift": _shift_problem,
    **{kind: _factor_problem(kind) for kind in _FACTORS},
    "five_crop": _crop_problem,
}


def _known() -> str:
    return f": write {', '.join(PLAIN)}, {{rotate: 5}} or the like ({', '.join(_RULES)})"


def _unknown(word: str) -> str:
    if word in _RULES:
        return f"{word} needs a number: write {{{word}: …}}"
    if word in PLAIN:
        return f"{word} takes no number: write {word}"
    return f"is no view, got {word!r}{suggestion(word, (*PLAIN, *_RULES))}"

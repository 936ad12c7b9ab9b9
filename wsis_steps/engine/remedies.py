"""What to try against a fault: a setting of the step or of an earlier one, and a value from the current one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Settings = Mapping[str, Any]
Made = tuple[tuple[str, Settings], ...]  # steps with their settings, the nearest to a result first
Change = Callable[[Settings, float], float]  # takes a step's settings and the current value, returns the value to try


@dataclass(frozen=True)
class Trial:
    """A setting as `step.key`, its current value, and the value to try."""

    setting: str
    now: Any
    value: Any

    def advice(self) -> str:
        """A sentence without its period."""
        step, key = self.setting.split(".")
        return f"Try {step}: {{{key}: {json.dumps(self.value)}}} (now {json.dumps(self.now)})"


def _times(factor: float, limit: float, other: str = "") -> Change:
    """The current value times a factor, to two significant digits, within the limit and, if it is a number, the
    value of another setting. Integers stay integers."""

    def change(settings: Settings, now: float) -> float:
        ends = [limit, settings[other]] if _is_number(settings.get(other)) else [limit]
        wanted = (min if factor > 1 else max)(float(f"{now * factor:.2g}"), *ends)
        if (wanted > now) != (factor > 1):  # already at or beyond the limit
            return now
        return round(wanted) if isinstance(now, int) else float(wanted)

    return change


def _window(settings: Settings, now: float) -> float:
    """A window of about twice the width, which must be odd."""
    return 2 * int(now) + 1


def _half_way_to(other: str) -> Change:
    """Halfway to the value of another setting, if that is a number."""

    def change(settings: Settings, now: float) -> float:
        return float(f"{(now + settings[other]) / 2:.2g}") if _is_number(settings.get(other)) else now

    return change


def _unless(other: str, change: Change) -> Change:
    """A change that applies only if another setting is not true, since that one would make this setting ineffective."""
    return lambda settings, now: now if settings.get(other) else change(settings, now)


_MORE, _LESS = 1.5, 2 / 3  # large enough to have an effect, small enough for two trials in a row
_FEWER_CUES = (("min_value", _times(_MORE, 0.75)), ("kernel", _window))
_MORE_CUES = (("min_value", _times(_LESS, 0.05)),)
_LESS_CLASS = (("foreground", _times(_MORE, 0.9)), ("background_weight", _times(_MORE, 1.0)),
               ("background_quota", _times(_MORE, 0.8)), ("missed", _times(_LESS, 0.05)))  # fmt: skip
_MORE_CLASS = (
    ("foreground", _times(_LESS, 0.02, "background")),
    ("background_weight", _times(_LESS, 0.05)),
    ("missed", _times(_MORE, 1)),
)
_SMALLER = ("min_area", _times(0.5, 1))
_LONGER = (("iterations", _times(2, float("inf"))),)

# For each fault, settings with a change, in the order in which to try them. Keys name no step: the nearest step that
# has the key is meant, so this also works for systems that are not known here.
TRIALS: dict[str, tuple[tuple[str, Change], ...]] = {
    "many cues": _FEWER_CUES,
    "few cues": _MORE_CUES,
    "much class": _LESS_CLASS,
    "little class": _MORE_CLASS,
    "much unsure": (("background", _half_way_to("foreground")),),
    "several cues": (*_FEWER_CUES, *_LESS_CLASS),
    "no cue": (*_MORE_CUES, *_MORE_CLASS),
    "small components": (_SMALLER, *_MORE_CLASS),
    "small regions": (_SMALLER, ("beta", _times(_MORE, 1.0))),
    "many instances": (("min_center", _times(3, 0.5)), ("min_share", _times(_MORE, 0.9))),
    "few instances": (("min_center", _times(_LESS, 0.02)), ("min_share", _times(_LESS, 0.02)), *_LONGER),
    "no instance": (("min_center", _times(_LESS, 0.02)), *_LONGER),  # min_share always leaves the best
    "few found again": _LONGER,
    "tags not learned": (("epochs", _unless("frozen", _times(2, float("inf")))),),
}


def find_trial(fault: str, made: Made) -> Trial | None:
    """What to try against a fault; None if nothing is known or everything has been tried."""
    for key, change in TRIALS.get(fault, ()):
        step, settings = next(((step, settings) for step, settings in made if key in settings), ("", {}))
        now = settings.get(key)
        if _is_number(now) and (value := change(settings, now)) != now:
            return Trial(f"{step}.{key}", now, value)
    return None


def _is_number(value: Any) -> bool:
    """Whether a value can be multiplied; values that a step determines by itself are a word or null."""
    return isinstance(value, int | float) and not isinstance(value, bool)

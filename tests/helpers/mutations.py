"""Small damage to valid files: missing keys, other types, other nesting, huge and negative numbers."""

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

DEEP = json.loads("[" * 60 + "]" * 60)
ODD = (
    None, True, False, -1, 0, 1, 7, 0.5, -3.5, 1e9, 1e308, -1e308, float("nan"), float("inf"), 10**30, -(10**18),
    "", " ", "x", "12", "-1", "nan", "a.jpg", "../a.jpg", "leaf", "__ignore__", "a\nb", [], {}, [[]], [1], [1, 2, 3],
    ["x"], {"x": 1}, [None], DEEP,
)  # fmt: skip
TOKENS = ("", "-1", "0", "1e308", "nan", "99999999999999999999", "x", ";", ",", "leaf", "0.5", "<", '"', "\t", "a.jpg")


def damage(path: Path, rng: random.Random) -> None:
    """Changes an annotation file in one to three places."""
    text = path.read_text(encoding="utf-8")
    for _ in range(rng.choice((1, 1, 2, 3))):
        try:
            if path.suffix == ".json" and rng.random() < 0.9:
                text = json.dumps(in_json(json.loads(text), rng))
            elif path.suffix == ".xml" and rng.random() < 0.8:
                text = in_xml(text, rng)
            else:
                text = in_text(text, rng)
        except (ValueError, ElementTree.ParseError):
            text = in_text(text, rng)
    path.write_text(text, encoding="utf-8")


def in_json(content: object, rng: random.Random) -> object:
    """JSON values with a change at a random place, deep or shallow with equal probability."""
    places = list(_places(content, ()))
    if not places:
        return rng.choice(ODD)
    path = rng.choice(places)
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, kind = path[-1], rng.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    elif kind == 2:
        parent[key] = [parent[key]]
    elif kind == 3 and isinstance(parent[key], int | float):
        parent[key] = rng.choice((-parent[key], 1000 * parent[key] + 1, str(parent[key]), parent[key] / 120))
    elif kind == 4:
        other = content
        for step in rng.choice(places):
            other = other[step] if _has(other, step) else other
        parent[key] = copy.deepcopy(other)
    else:
        parent[key] = copy.deepcopy(rng.choice(ODD))
    return content


def _has(value: object, step: object) -> bool:
    return step in value if isinstance(value, dict) else isinstance(value, list) and step < len(value)


def _places(value: object, path: tuple):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(items)[:40]:
        yield from _places(one, (*path, key))


def in_xml(text: str, rng: random.Random) -> str:
    """An XML text with a change of an attribute, a text, or an element."""
    root = ElementTree.fromstring(text)
    elements = list(root.iter())
    parents = {child: parent for parent in elements for child in parent}
    one, kind = rng.choice(elements), rng.randrange(5)
    if kind == 0 and one in parents:
        parents[one].remove(one)
    elif kind == 1 and one in parents:
        parents[one].append(copy.deepcopy(one))
    elif kind == 2 and one.attrib:
        name = rng.choice(list(one.attrib))
        if rng.random() < 0.4:
            del one.attrib[name]
        else:
            one.attrib[name] = rng.choice(TOKENS)
    elif kind == 3:
        one.text = rng.choice(TOKENS)
    else:
        one.tag = rng.choice(("x", "box", "image", "object", "mask", "polyline"))
    return ElementTree.tostring(root, encoding="unicode")


def in_text(text: str, rng: random.Random) -> str:
    """A text with a token, a line or a few signs changed."""
    kind = rng.randrange(4)
    if kind == 0:
        tokens = list(re.finditer(r"[\w.\-]+", text))
        if tokens:
            one = rng.choice(tokens)
            return text[: one.start()] + rng.choice(TOKENS) + text[one.end() :]
    if kind == 1:
        lines = text.splitlines(keepends=True)
        if lines:
            k = rng.randrange(len(lines))
            return "".join(lines[:k] + [lines[k]] * rng.choice((0, 2)) + lines[k + 1 :])
    first = rng.randrange(len(text) + 1)
    if kind == 2:
        return text[:first] + text[first + rng.randrange(1, 8) :]
    return text[:first] + rng.choice(TOKENS) + text[first:]


JUNK = (None, "", -1, float("nan"), [], {}, "é", [1], {"a": 1}, True, 1e9)


def damaged(content: object, junk: tuple = JUNK, leave: str = "", place: tuple = ()) -> Iterator[object]:
    """Variants of JSON content with one value removed or replaced by junk; values below a key in `leave` stay."""
    inner = content
    for key in place:
        inner = inner[key]
    keys = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
    for key in [] if place and place[-1] == leave else keys:
        for value in ("gone", *junk):
            changed = copy.deepcopy(content)
            owner = changed
            for step in place:
                owner = owner[step]
            if value == "gone":
                del owner[key]
            else:
                owner[key] = value
            yield changed
        yield from damaged(content, junk, leave, (*place, key))

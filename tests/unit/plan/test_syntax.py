"""The normal form: what is equal in it computes the same, and what computes otherwise is not equal."""

import ast
import symtable
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsis_steps.plan.syntax import normal_form

LOG = 'import logging\nlog = logging.getLogger("wsis")\n'
SAME = {
    "a local": ("def f(a):\n x = a\n return x", "def f(a):\n y = a\n return y"),
    "names change places": ("def f():\n x = 1; y = 2\n return x - y", "def f():\n y = 1; x = 2\n return y - x"),
    "a closure": ("def f():\n x = 1\n return lambda: x", "def f():\n y = 1\n return lambda: y"),
    "nonlocal": (
        "def f():\n x = 1\n def g():\n  nonlocal x\n  x += 1\n g()\n return x",
        "def f():\n y = 1\n def g():\n  nonlocal y\n  y += 1\n g()\n return y",
    ),
    "shadowing in a comprehension": (
        "def f(a):\n x = a\n return [x for x in x]",
        "def f(a):\n x = a\n return [y for y in x]",
    ),
    "a comprehension of the module": ("A = [x for x in 'a']", "A = [y for y in 'a']"),
    "match": (
        "def f(a):\n match a:\n  case [x, *y]: return x, y\n  case {**z}: return z",
        "def f(a):\n match a:\n  case [z, *x]: return z, x\n  case {**y}: return y",
    ),
    "except": ("def f():\n try: g()\n except E as x: h(x)", "def f():\n try: g()\n except E as y: h(y)"),
    "with, for, walrus": (
        "def f():\n with g() as x:\n  for y in x:\n   if z := y: return z",
        "def f():\n with g() as z:\n  for x in z:\n   if y := x: return y",
    ),
    "walrus out of a comprehension": (
        "def f(a):\n [x := y for y in a]\n return x",
        "def f(a):\n [y := x for x in a]\n return y",
    ),
    "an error": ("def f(a):\n raise ValueError(f'{a} is {b}') from e", "def f(a):\n raise ValueError"),
    "log and its import": (LOG + "def f(a):\n if a > 1:\n  log.info('%s', a)\n return a", "def f(a):\n return a"),
    "a log call in a branch": (
        LOG + "def f(a):\n if a:\n  return 1\n else:\n  log.info('no')",
        "def f(a):\n if a:\n  return 1",
    ),
    "types": (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING, Any\n"
        "if TYPE_CHECKING:\n from a import B\n"
        "def f(a: B, *b: Any) -> B:\n x: B = a\n return x",
        "def f(a, *b):\n x = a\n return x",
    ),
    "the order of imports": ("import a\nfrom b import c, d", "from b import d\nfrom b import c\nimport a"),
    "nothing": ("def f():\n '''Text.'''", "def f():\n pass"),
}
OTHER = {
    "a global": ("x = 0\ndef f():\n x = 1\n return x", "x = 0\ndef f():\n y = 1\n return x"),
    "a global declared": ("x = 0\ndef f():\n x = 1", "x = 0\ndef f():\n global x\n x = 1"),
    "which global": ("def f():\n global x\n x = 1", "def f():\n global y\n y = 1"),
    "a global added to": ("x = y = 0\ndef f():\n global x\n x += 1", "x = y = 0\ndef f():\n global y\n y += 1"),
    "added to, not declared": ("x = 0\ndef f():\n global x\n x += 1", "x = 0\ndef f():\n x += 1"),
    "nonlocal or not": (
        "def f():\n x = 1\n def g():\n  nonlocal x\n  x = 2\n g()\n return x",
        "def f():\n x = 1\n def g():\n  x = 2\n g()\n return x",
    ),
    "which is nonlocal": (
        "def f():\n x = y = 1\n def g():\n  nonlocal x\n  x = 2\n g()\n return x",
        "def f():\n x = y = 1\n def g():\n  nonlocal y\n  y = 2\n g()\n return x",
    ),
    "an attribute hides nothing from a method": (
        "def f():\n x = 1\n class A:\n  x = 2\n  def g(self): return x\n return A",
        "def f():\n y = 1\n class A:\n  x = 2\n  def g(self): return x\n return A",
    ),
    "a parameter hides a variable": (
        "def f():\n x = 1\n def g(x): return x\n return g",
        "def f():\n y = 1\n def g(x): return y\n return g",
    ),
    "which variable of a closure": (
        "def f():\n x = 1; y = 2\n return lambda: x",
        "def f():\n x = 1; y = 2\n return lambda: y",
    ),
    "a parameter of a closure": (
        "def f():\n x = 1\n return lambda y: x",
        "def f():\n y = 1\n return lambda y: y",
    ),
    "a comprehension or what is around": (
        "def f(a):\n x = 1\n return [x for y in a]",
        "def f(a):\n x = 1\n return [y for y in a]",
    ),
    "a leak out of a comprehension": (
        "def f(a):\n x = 1\n [x := y for y in a]\n return x",
        "def f(a):\n x = 1\n [z := y for y in a]\n return x",
    ),
    "what a comprehension goes through": (
        "x = 'a'\ndef f():\n return [x for x in x]",
        "x = 'a'\ndef f():\n return [y for y in y]",
    ),
    "the name of an error": (
        "def f():\n x = 1\n try: g()\n except E as x: pass\n return x",
        "def f():\n x = 1\n try: g()\n except E as y: pass\n return x",
    ),
    "a class or a function": (
        "x = 0\ndef f():\n x = 1\n class A:\n  x = x\n return A.x",
        "x = 0\ndef f():\n y = 1\n class A:\n  x = y\n return A.x",
    ),
    "an attribute seen by a method": (
        "x = 0\nclass A:\n x = 1\n def f(self): return x",
        "x = 0\nclass A:\n x = 1\n def f(self, x=x): return x",
    ),
    "an attribute of a class": ("class A:\n x = 1", "class A:\n y = 1"),
    "a default in the scope around": (
        "def f():\n x = 1\n def g(a=x):\n  x = 2\n  return a\n return g",
        "def f():\n x = 1\n def g(a=x):\n  x = 2\n  return x\n return g",
    ),
    "a default or a closure": (
        "def f(a):\n return [lambda x=x: x for x in a]",
        "def f(a):\n return [lambda: x for x in a]",
    ),
    "a bare annotation": ("x = 0\ndef f():\n x: int\n return x", "x = 0\ndef f():\n return x"),
    "an annotation in brackets": (
        "def f():\n (x): int\n return x",
        "def f():\n (y): int\n return y",
    ),
    "names that are read": ("def f():\n x = 1\n return locals()", "def f():\n y = 1\n return locals()"),
    "names in a query": (
        "def f(a):\n x = 1\n return a.query('b > @x')",
        "def f(a):\n y = 1\n return a.query('b > @x')",
    ),
    "a name of a class's own": (
        "def f():\n _A__x = 1\n class A:\n  def g(self): return __x\n return A",
        "def f():\n y = 1\n class A:\n  def g(self): return __x\n return A",
    ),
    "the order of imports of one name": ("from a import x\nfrom b import x", "from b import x\nfrom a import x"),
    "an import before code": ("import a\nb()\n", "b()\nimport a\n"),
    "how a module is bound": ("import a.b\na.b", "import a.b as a\na.b"),
    "a log that is none": ("def f(log):\n log.info(1)", "def f(log):\n pass"),
    "another log": (LOG + "def f():\n log = g()\n log.info(1)", LOG + "def f():\n log = g()"),
    "a log call that binds": (LOG + "def f():\n log.info((x := 1))\n return x", LOG + "def f():\n return x"),
    "a log call that draws": (LOG + "def f(a):\n log.info('%d', a.draw())", LOG + "def f(a):\n pass"),
    "a log call that yields": (LOG + "def f():\n log.info((yield))", LOG + "def f():\n pass"),
    "a condition that draws": (LOG + "def f(a):\n if a():\n  log.info(1)", LOG + "def f(a):\n pass"),
    "a condition of more": (LOG + "def f(a):\n if a:\n  log.info(1)\n  g()", LOG + "def f(a):\n g()"),
    "what catches": ("try:\n f()\nexcept E:\n pass", "try:\n f()\nexcept F:\n pass"),
    "the number of an error": ("raise OSError(2, 'x')", "raise OSError(13, 'x')"),
    "what a function makes of an error": ("raise f(1)", "raise f(2)"),
    "the value of a generator": (
        "def f():\n yield\n raise StopIteration(1)",
        "def f():\n yield\n raise StopIteration(2)",
    ),
    "a field": ("class A:\n x: int = 1", "class A:\n x = 1"),
    "a field without a value": ("class A:\n x: int", "class A:\n pass"),
    "what is no field": ("class A:\n x: ClassVar[int] = 1", "class A:\n x: int = 1"),
    "a type that is used": ("from typing import Mapping\nf(Mapping)", "from a import Mapping\nf(Mapping)"),
    "an import for what it does": ("import a", ""),
    "a number and a truth": ("x = 1", "x = True"),
    "a number and a text": ("x = 1", "x = '1'"),
    "a text with a break": ("f('a', 'b')", "f('a\\n', 'b')"),
    "a name and a text": ("x = a", "x = 'a'"),
    "else": ("for x in y:\n a()\nelse:\n b()", "for x in y:\n a()\nb()"),
    "to pass on": ("def f(a):\n if a:\n  return 1\n return 2", "def f(a):\n if a:\n  pass\n return 2"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_equal(one, other):
    assert normal_form(one).text == normal_form(other).text


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_not_equal(one, other):
    assert normal_form(one).text != normal_form(other).text


NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def blocks(draw, depth=0, inside="function"):
    """Statements about three names in nested functions, classes and comprehensions; valid or nearly so."""
    lines, names = [], lambda: draw(NAMES)
    for _ in range(draw(st.integers(1, 3))):
        kinds = ["assign", "add", "for", "comprehension", "walrus", "lambda", "except", "annotation", "record"]
        kind = draw(st.sampled_from(kinds + ["def", "class", "global", "nonlocal"] * (depth < 2)))
        if kind == "assign":
            lines += [f"{names()} = {names()} + {draw(st.integers(0, 3))}"]
        elif kind == "add":
            lines += [f"{names()} += {names()}"]
        elif kind == "for":
            lines += [f"for {names()} in range(2): record({names()})"]
        elif kind == "comprehension":
            lines += [f"record([{names()} + {names()} for {names()} in range(3) if {names()}])"]
        elif kind == "walrus":
            lines += [f"record([({names()} := i) for i in range(2)])" if inside == "function" else "pass"]
        elif kind == "lambda":
            lines += [f"record((lambda {names()}={names()}: {names()} + {names()})())"]
        elif kind == "except":
            lines += [f"try: 1 / {names()}", f"except ZeroDivisionError as {names()}: pass"]
        elif kind == "annotation":
            lines += [f"{names()}: int"]
        elif kind == "record":
            lines += [f"record({names()})"]
        elif kind in ("global", "nonlocal"):
            lines = [f"{kind} {names()}", *lines]
        else:
            head = f"def f({draw(st.sampled_from(['', 'a=1', 'b=c']))}):" if kind == "def" else "class f:"
            inner = draw(blocks(depth=depth + 1, inside="function" if kind == "def" else "class"))
            call = "try: f()\nexcept (NameError, TypeError): record('no')".splitlines()
            lines += [head, *(f" {line}" for line in inner), *call]
    return lines


PROGRAMS = blocks().map(lambda lines: "\n".join(["def main():", *(f" {line}" for line in lines)]) + "\n")


def outcome(program: str) -> list:
    """What a program records, and how it ends."""
    seen: list = []
    scope = {"record": lambda value: seen.append(value), "a": 5, "b": 70, "c": 900}
    try:
        exec(program, scope)
        scope["main"]()
    except Exception as error:
        seen.append(type(error).__name__)
    return [*map(str, seen), *(str(scope[name]) for name in "abc")]


def names_of(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Names that are local in some function of a program, and those that are a parameter, an attribute or global
    somewhere."""
    free, fixed = set(), set()
    for symbol in table.get_symbols():
        bound = symbol.is_parameter() or symbol.is_namespace() or symbol.is_global() or table.get_type() != "function"
        (fixed if bound else free).add(symbol.get_name())
    for inner in map(names_of, table.get_children()):
        free, fixed = free | inner[0], fixed | inner[1]
    return free, fixed


def valid(program: str) -> bool:
    try:
        compile(program, "", "exec")
    except SyntaxError:
        return False
    return True


def variants(program: str, random: Random, count: int) -> Iterator[str]:
    """Programs that have other names at some places, once or in all of a stretch."""
    size = len(_places(ast.parse(program)))
    for _ in range(count if size else 0):
        tree, new = ast.parse(program), random.sample("abc", 3)
        first = random.randrange(size)
        for place in _places(tree)[first : first + random.choice((1, 2, 4, size))]:
            place.id = new["abc".index(place.id)]
        if valid(other := ast.unparse(tree)):
            yield other


def _places(tree: ast.Module) -> list[ast.Name]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in "abc"]


@settings(max_examples=150, deadline=None)
@given(PROGRAMS.filter(valid), st.randoms(use_true_random=False))
def test_programs_of_one_form_do_the_same(program, random):
    """Judged by running them."""
    outcomes: dict[str, list] = {}
    for other in [program, *variants(program, random, 20)]:
        found = outcome(other)
        assert outcomes.setdefault(normal_form(other).text, found) == found


@settings(max_examples=150, deadline=None)
@given(PROGRAMS.filter(valid), st.permutations("xyz"))
def test_local_variables_may_have_other_names(program, new):
    """Python's own symbol tables say which; renamed back, it is the same program."""
    free, fixed = names_of(symtable.symtable(program, "", "exec"))
    there = {old: name for old, name in zip("abc", new, strict=True) if old in free - fixed}
    other = _rename(program, there)
    assert normal_form(other).text == normal_form(program).text
    assert _rename(other, {name: old for old, name in there.items()}) == ast.unparse(ast.parse(program))


def _rename(program: str, names: dict[str, str]) -> str:
    tree = ast.parse(program)
    for node in ast.walk(tree):
        for field in {"id", "name"} & set(node._fields):
            setattr(node, field, names.get(getattr(node, field), getattr(node, field)))
        if isinstance(node, ast.Nonlocal):
            node.names = [names.get(name, name) for name in node.names]
    return ast.unparse(tree)

"""Fingerprints of code, which change only with edits that can change a result. Imports no module that it hashes."""

import ast
import functools
import hashlib
from pathlib import Path

from wsis_steps.plan.omissions import Import
from wsis_steps.plan.syntax import Form, normal_form


@functools.cache
def own_package() -> "Package":
    """The package that contains this module, as it was at the first call."""
    return Package(Path(__file__).parents[1])


def fingerprint(module: str) -> str:
    """The fingerprint of a step of this package, given its module name."""
    return own_package().fingerprint(module)


def digest_of(*modules: str) -> str:
    """A digest of some modules, without what they import; for modules that are in no fingerprint.

    modules: names without the package's.
    """
    state = hashlib.blake2b(digest_size=8)
    for name in modules:
        state.update(own_package().digest(f"{own_package().name}.{name}"))
    return state.hexdigest()


BESIDE = (".pt", ".css", ".js")  # suffixes of files that a module reads from its own folder


class Package:
    """The modules of a package, each read once."""

    def __init__(self, root: Path) -> None:
        """root: the package's folder; its name is the package's name."""
        self.name = root.name
        paths = {path: path.relative_to(root.parent).with_suffix("").parts for path in root.rglob("*.py")}
        self.modules = {".".join(parts).removesuffix(".__init__"): path for path, parts in paths.items()}
        self.beside = sorted(path for suffix in BESIDE for path in root.rglob(f"*{suffix}"))
        self.results = _results(root)
        self._read: dict[str, tuple[Form, bytes, list[tuple[str, frozenset[str]]]]] = {}

    def fingerprint(self, module: str) -> str:
        """The results version, and a digest of the normal forms of `module` and of everything it imports, recursively.

        Weights, styles and scripts in a module's folder count as part of the module whose name they start with, such as
        `rankers_learned_fast.pt` or `page.css`. Raises KeyError if there is no such module.
        """
        if module not in self.modules:
            raise KeyError(f"there is no module {module}")
        state = hashlib.blake2b(digest_size=8)
        reached, passed_on = self._reach(module)
        for name in sorted(reached):
            state.update(name.encode() + b"\n" + self._module(name)[1])
        for name, text in sorted(passed_on):
            state.update(f"{name} passes on {text}\n".encode())
        return f"{self.results}-{state.hexdigest()}"

    def digest(self, module: str) -> bytes:
        """A digest of the normal form of a module, without what it imports."""
        return self._module(module)[1]

    def _reach(self, module: str) -> tuple[set[str], set[tuple[str, str]]]:
        """`module` and all modules it imports, and the imports that these only pass on to other modules."""
        reached: set[str] = set()
        passed_on: set[tuple[str, str]] = set()
        waiting = [(name, frozenset[str]()) for name in self._with_parents(module)]
        while waiting:
            name, taken = waiting.pop()
            form, _, imported = self._module(name)
            if name not in reached:
                reached.add(name)
                waiting += imported
            for one in form.dropped if taken else ():
                if (one.bound in taken or "*" in taken) and (name, one.text) not in passed_on:
                    passed_on.add((name, one.text))
                    waiting += self._targets(one, form.attributes)
        return reached, passed_on

    def _module(self, name: str) -> tuple[Form, bytes, list[tuple[str, frozenset[str]]]]:
        """The normal form of a module, a digest of it and of its data files, and what it imports from this package."""
        if name not in self._read:
            path = self.modules[name]
            form = normal_form(path.read_text(encoding="utf-8"))
            state = hashlib.blake2b(form.text.encode(), digest_size=16)
            for file in self.beside:
                if file.parent == path.parent and file.name.startswith(path.stem):
                    state.update(f"\n{file.name}\n".encode() + file.read_bytes())
            imported = [target for one in form.imports for target in self._targets(one, form.attributes)]
            self._read[name] = form, state.digest(), imported
        return self._read[name]

    def _targets(self, one: Import, attributes: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
        """The modules of this package that an import runs, each with the names that may be taken from it.

        attributes: all attribute names in the importing module; any of them may be a name in an imported module.
        """
        if one.module.partition(".")[0] != self.name:
            return []
        taken = attributes if one.name is None else frozenset([one.name])
        found = [(name, taken) for name in self._with_parents(one.module)]
        inner = f"{one.module}.{one.name}"
        if inner in self.modules and not self._outside(inner):
            found.append((inner, attributes))
        return found

    def _with_parents(self, module: str) -> list[str]:
        """A module and the packages that contain it, whose `__init__` runs first; without modules that do not count."""
        parts = module.split(".")
        names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        return [name for name in names if name in self.modules and not self._outside(name)]

    def _outside(self, module: str) -> bool:
        """Whether a module is in no fingerprint: everything in `engine` and `plan`, and every `settings` module."""
        _, *parts = module.split(".")
        return parts[:1] in (["engine"], ["plan"]) or "settings" in parts


def _results(root: Path) -> int:
    """The value of RESULTS in a package's engine."""
    for node in ast.parse((root / "engine/__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RESULTS":
            return ast.literal_eval(node.value)
    raise ValueError(f"{root}/engine/__init__.py does not set RESULTS")

"""Fingerprints of code: equal while only comments, docstrings or formatting change. Imports nothing it hashes."""

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

PACKAGE = "wsis_steps"
# Their values reach a step as settings, which are a parameter of the rule; hashing them would tie all steps together.
LEFT_OUT = (f"{PACKAGE}.engine", f"{PACKAGE}.plan")


def fingerprint(module: str) -> str:
    """Digest of the syntax trees of `module` and of all modules of this package that it imports, in any depth.

    Trained weights that the package brings belong to the module whose name they begin with: `rankers_learned_fast.pt`.
    """
    reached, waiting = set(), {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {other for other in _parse(name)[1] - reached if not _left_out(other)}
    state = hashlib.blake2b(digest_size=8)
    for name in sorted(reached):
        state.update(f"{name}\n{_parse(name)[0]}\n".encode())
        path = _path(name)
        for weights in sorted(path.parent.glob(f"{path.stem}*.pt")):
            state.update(f"{weights.name}\n".encode() + weights.read_bytes())
    return state.hexdigest()


def _left_out(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in LEFT_OUT)


@functools.cache
def _parse(module: str) -> tuple[str, frozenset[str]]:
    """Normalized syntax tree of a module, as text, and the modules of this package that it imports."""
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    imports = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_docstring(node)
    ours = {name for name in imports if name.startswith(f"{PACKAGE}.") and _path(name).exists()}
    return ast.dump(tree), frozenset(ours)


def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]


def _path(module: str) -> Path:
    root = Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0])
    path = root.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

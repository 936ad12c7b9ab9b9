"""Python packages that only some runs and commands need: the extras of pyproject.toml."""

EXTRAS = {"pydensecrf": "crf", "higra": "mcg", "timm": "timm", "onnx": "onnx"}
"""The extra that installs a package, by the name under which it is imported."""


def how_to_install(module: str) -> str:
    """A clause for a package of an extra that is not installed."""
    return f"the Python package {module} is not installed; install it with: pip install 'wsis[{EXTRAS[module]}]'"

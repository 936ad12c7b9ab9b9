"""Configurations that YAML reads, but that no program could walk through, are told in a sentence."""

import pytest

from wsis_steps.commands.configuration import read_yaml
from wsis_steps.engine.errors import InputError

MANY = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("runs: &all {one: *all}", "contains itself or far too many values"),
        ("runs: &all [*all]", "contains itself or far too many values"),
        (MANY, "contains itself or far too many values"),
        ("runs: " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
        ("- one", "is neither a folder nor a configuration"),
    ],
    ids=["in itself", "list in itself", "many", "deep", "list"],
)
def test_what_cannot_be_walked_through_is_refused(tmp_path, text, words):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "odd.yaml")
    assert f"odd.yaml {words}" in str(caught.value)


def test_aliases_may_be_used(tmp_path):
    (tmp_path / "good.yaml").write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    assert read_yaml(tmp_path / "good.yaml") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}

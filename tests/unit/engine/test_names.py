"""Names from files of others: none is a place elsewhere, a command to a terminal or a formula."""

import logging
from pathlib import Path

import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.names import as_cell, has_control, is_file_name, path_below, printable, printable_lines
from wsis_steps.engine.outcome import start_log

OUTSIDE = [
    "../../x",
    "/abs/x",
    "a/../../x",
    "..",
    ".",
    "",
    "a//b",
    "./a",
    "a/",
    "..\\x",
    "a\x00b",
    "a\nb",
    "~/..",
    "\udc80",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_may_lead_elsewhere_is_refused(name, tmp_path):
    assert not is_file_name(name)
    with pytest.raises(InputError, match="cannot be the name of a file below"):
        path_below(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["a", "2007_000032", "..a", "a..b", "a b", "é", "写真", "a/b.png", "~", "-x", "=x", "C:x"]
)
def test_an_ordinary_name_lies_below(name, tmp_path):
    found = path_below(tmp_path, name)
    assert found == tmp_path / name and tmp_path in found.resolve().parents


def test_what_a_terminal_obeys_is_escaped_and_words_are_not():
    assert printable("\x1b[2Jcat\r\n\u202e") == "\\x1b[2Jcat\\r\\n\\u202e"
    assert printable_lines("a\tb\nc\x07\r") == "a\tb\nc\\x07\\r"
    for name in ("Katze", "گربه\u200cها", "👩\u200d🚀", "猫", "naïve"):  # joiners are part of words
        assert printable(name) == printable_lines(name) == name and not has_control(name)
    printable("\udc80").encode("utf-8")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_a_spreadsheet_takes_no_name_for_a_formula(sign):
    assert as_cell(f"{sign}1+1") == f"'{sign}1+1"
    assert as_cell(f"\t{sign}1")[0] == as_cell(f"\r{sign}1")[0] == "\\"
    assert as_cell(f"a{sign}") == f"a{sign}" and as_cell("") == ""


def test_the_log_moves_no_cursor(tmp_path, capsys):
    before = logging.getLogger().handlers[:]
    try:
        start_log(Path(tmp_path / "log"))
        logging.getLogger("wsis").error("%s", "image '\x1b[1Acat' is\ndamaged")
    finally:
        logging.basicConfig(handlers=before, force=True)
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text()):
        assert text.endswith("image '\\x1b[1Acat' is\ndamaged\n")

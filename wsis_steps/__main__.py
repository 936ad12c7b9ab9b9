"""The command `wsis`: what people do before and after the workflow. Also `python -m wsis_steps`.

Each subcommand is a file of `wsis_steps/commands/` with its name, which adds its arguments to a parser and has a
`main` that takes what was parsed.

Exit status: 0 done, 2 something the user can put right (a sentence says what), 1 a fault of this program, 130 ended
by Ctrl-C, 141 nobody reads what is printed any more (`| head -1`).
"""

import argparse
import pkgutil
import sys
from collections.abc import Sequence

from wsis_steps.engine.errors import nearest
from wsis_steps.engine.outcome import CLOSED_PIPE, guarded, reader_gone, start_log

COMMANDS = {
    "check": "list what is wrong with a data set, before anything is trained, or with results",
    "predict": "draw the masks of pictures with a trained Mask R-CNN",
    "show": "tell what is in a result, how it was made, and draw an image of it",
    "export": "write labels, predictions or a model in the formats of other tools",
}


def overview() -> str:
    """The help of `wsis` without a subcommand."""
    lines = "\n".join(f"  wsis {name:8} {text}" for name, text in COMMANDS.items())
    return f"usage: wsis COMMAND ...\n\n{lines}\n\n`wsis COMMAND --help` tells more, with examples.\n"


def main(words: Sequence[str] | None = None) -> None:
    """Runs the subcommand that the words begin with and ends the process with the exit status of the outcome."""
    try:
        _run(list(sys.argv[1:] if words is None else words))
    finally:
        if reader_gone():
            sys.exit(CLOSED_PIPE)


def _run(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        (sys.stdout if words else sys.stderr).write(overview())
        sys.exit(0 if words else 2)
    name, *rest = words
    if name not in COMMANDS:
        sys.stderr.write(f"wsis has no command '{name}'; {nearest(name, COMMANDS)}.\n")
        sys.exit(2)
    module = pkgutil.resolve_name(f"wsis_steps.commands.{name}")  # the others may take seconds to import
    parser = argparse.ArgumentParser(
        prog=f"wsis {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    options = parser.parse_args(rest)
    start_log(None)
    sys.exit(guarded(lambda: module.main(options)))


if __name__ == "__main__":
    main()

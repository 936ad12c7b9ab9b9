"""The command `wsis`: tools for before and after the workflow. Also `python -m wsis_steps`.

Each subcommand is a file of the same name in `wsis_steps/commands/`, with two functions: `add_arguments` adds its
arguments to a parser, `main` takes the parsed arguments; with PASSES_ON, those that it does not know are in
`passed_on`.

Exit status: 0 done, 2 an error the user can fix (one sentence), 1 a bug in this program, 130 Ctrl-C, 141 the reader
of the output is gone (`| head -1`).
"""

import argparse
import pkgutil
import sys
from collections.abc import Sequence

from wsis_steps.engine import VERSION
from wsis_steps.engine.errors import nearest
from wsis_steps.engine.outcome import CLOSED_PIPE, guarded, reader_gone, start_log

COMMANDS = {
    "new": "start a project: a configuration, a Snakefile and profiles in a folder",
    "check": "list what is wrong with a data set, before anything is trained, or with results",
    "plan": "tell what the trainings and inferences of a configuration take, on which GPU",
    "run": "run the workflow of this folder's project: Snakemake, with its arguments",
    "predict": "draw the masks of pictures with a trained Mask R-CNN",
    "show": "tell what is in a result, how it was made, and draw an image of it",
    "export": "write labels, predictions or a model in the formats of other tools",
}


def overview() -> str:
    """The help of `wsis` without a subcommand."""
    lines = "\n".join(f"  wsis {name:8} {text}" for name, text in COMMANDS.items())
    more = "For details and examples: `wsis COMMAND --help`. The version: `wsis --version`."
    return f"usage: wsis COMMAND ...\n\n{lines}\n\n{more}\n"


def main(words: Sequence[str] | None = None) -> None:
    """Runs the subcommand that `words` start with, then exits with its status."""
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
    if name == "--version":
        print(f"wsis {VERSION}")
        sys.exit(0)
    if name not in COMMANDS:
        sys.stderr.write(f"There is no command '{name}'; {nearest(name, COMMANDS)}.\n")
        sys.exit(2)
    module = pkgutil.resolve_name(f"wsis_steps.commands.{name}")  # importing all of them could take seconds
    parser = argparse.ArgumentParser(
        prog=f"wsis {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    options, options.passed_on = parser.parse_known_args(rest)
    if options.passed_on and not getattr(module, "PASSES_ON", False):
        parser.error(f"unrecognized arguments: {' '.join(options.passed_on)}")
    start_log(None)
    sys.exit(guarded(lambda: module.main(options)))


if __name__ == "__main__":
    main()

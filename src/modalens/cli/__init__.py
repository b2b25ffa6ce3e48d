"""The command line: parse, call the public face, print."""

import errno
import os
import sys
from io import TextIOWrapper
from typing import Any, NoReturn

from typer import Abort, BadParameter

from modalens.errors import ModalensError, is_out_of_memory, one_line, out_of_memory_sentence, system_sentence
from modalens.redaction import redacted, redacted_trace

# Typer names no more of the exceptions of click, and has a copy of click since 0.20.
_UsageError: Any = BadParameter.__bases__[0]
_ClickException: Any = _UsageError.__bases__[0]
_STOPPED = 130
# What takes memory, those options of most effect first.
_TAKES_MEMORY = (
    *(
        "--batch-size",
        "--workers",
        "--n-features",
        "--max-pairs",
        "--max-features",
        "--images",
        "--m",
        "--draws",
    ),
    *("--resamples", "--tries", "--top"),
)
_NAMED = 2


def main() -> None:
    """Run the command line; bad input ends with one sentence on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # a terminal that knows fewer letters than file names and captions have
            stream.reconfigure(errors="backslashreplace")
    try:
        from modalens.cli.app import app

        _refuse_empty(sys.argv[1:])
        code = app(prog_name="modalens", standalone_mode=False)
    except ModalensError as error:
        _end(str(error), 2)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # what is shown is the help
            sys.exit(2)
        _end(_of_usage(error), 2)
    except _ClickException as error:
        _end(error.format_message(), 2)
    except OSError as error:
        if error.errno == errno.EPIPE:  # nobody reads on, as in `modalens ... | head`
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (Python flushes it at its end)
            sys.exit(1)
        _end(str(system_sentence(error)), 2)
    except (KeyboardInterrupt, Abort):
        code = _STOPPED
    except Exception as error:
        if is_out_of_memory(error):
            _end(_of_memory(error, sys.argv[1:]), 2)
        if (sentence := system_sentence(error)) is not None:
            _end(sentence, 2)
        if os.environ.get("MODALENS_DEBUG"):
            print(redacted_trace(error), end="", file=sys.stderr)
        kind = type(error).__name__
        _end(f"This is a bug in modalens: {kind}: {error}. Set MODALENS_DEBUG=1 to see where.", 1)
    if code == _STOPPED:  # what typer makes of Ctrl-C
        _end("Stopped; what was finished is kept, run the same command again to go on.", _STOPPED)
    sys.exit(code if isinstance(code, int) else 0)


def _end(sentence: str, code: int) -> NoReturn:
    print(f"modalens: {one_line(redacted(sentence))}", file=sys.stderr)
    sys.exit(code)


def _refuse_empty(words: list[str]) -> None:
    """An empty word names nothing; as a path it would be the folder one is in."""
    for before, word in zip(["", *words], words, strict=False):
        if not word or (word.startswith("--") and word.endswith("=") and word.count("=") == 1):
            option = word.rstrip("=") or (before if before.startswith("-") else "")
            raise ModalensError(
                f"{option or 'An argument'} is empty; give a value{' or leave it out' if option else ''}."
            )


def _of_memory(error: BaseException, words: list[str]) -> str:
    """What to do about memory that ran out, by the options that the command has."""
    from modalens.cli.app import app

    command: Any = app
    for word in words:
        within = getattr(command, "commands", {}).get(word)
        if within is not None:
            command = within.whole() if hasattr(within, "whole") else within
    options = {name for each in getattr(command, "params", ()) for name in each.opts}
    lower = [name for name in _TAKES_MEMORY if name in options][:_NAMED]
    if "--set" in options:  # of a recipe
        lower = ["batch_size, workers or n_features of the step"]
    on_cpu = (
        "take --device cpu"
        if "--device" in options
        else "hide it with CUDA_VISIBLE_DEVICES= before the command"
    )
    return out_of_memory_sentence(error, lower, on_cpu)


def _of_usage(error: Any) -> str:
    """What click says of a command line, as one sentence with the command whose help tells more."""
    said = " ".join(error.format_message().split()).rstrip(".")
    command = "modalens" if error.ctx is None else error.ctx.command_path
    return f"{said}; see {command} --help."

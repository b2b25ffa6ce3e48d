"""The command line: parse, call the public face, print."""

import os
import sys

from modalens.errors import ModalensError, is_out_of_memory, out_of_memory_sentence


def main() -> None:
    """Run the command line; bad input ends with one sentence on stderr and exit code 2."""
    from modalens.cli.app import app

    try:
        app()
    except ModalensError as error:
        _end(str(error), 2)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _end(f"{error.strerror or error}{where}.", 2)
    except KeyboardInterrupt:
        _end("Stopped; what was finished is kept, run the same command again to go on.", 130)
    except Exception as error:
        if os.environ.get("MODALENS_DEBUG"):
            raise
        if is_out_of_memory(error):
            _end(out_of_memory_sentence(error), 2)
        kind = type(error).__name__
        _end(f"This is a bug in modalens: {kind}: {error}. Set MODALENS_DEBUG=1 to see where.", 1)


def _end(sentence: str, code: int) -> None:
    print(f"modalens: {sentence}", file=sys.stderr)
    sys.exit(code)

"""The one exception users meet."""


class ModalensError(ValueError):
    """Bad input or a bad environment, said in one sentence that tells what to do.

    The command line prints the sentence and exits with code 2.
    """

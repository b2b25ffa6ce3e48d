"""The exceptions users meet, by kind; each holds one sentence that says what to do."""

from typing import Self


class ModalensError(ValueError):
    """Base of all errors that a user can do something about.

    The command line prints the sentence and exits with code 2.
    """


class InputError(ModalensError):
    """An option, a name, a file or data of the user's that cannot be used as it is."""


class StoreError(ModalensError):
    """A file that modalens wrote is missing a part, damaged, or of a schema that this version does not read."""


class BusyError(StoreError):
    """Another process is writing to the folder; wait for it to end."""


class MissingPackageError(ModalensError):
    """A package that is needed here is not installed.

    Attributes
    ----------
    extra
        The extra of modalens that brings it; empty if none does.
    """

    extra: str = ""

    @classmethod
    def of(cls, what: str, package: str, extra: str) -> Self:
        """The error for what needs a package, which ``pip install 'modalens[EXTRA]'`` brings.

        Parameters
        ----------
        what
            What needs it, as the sentence's subject in the singular, such as "The engine ray".
        package
            The package's name.
        extra
            The extra of modalens that has it.
        """
        error = cls(f"{what} needs the package {package}; install it with pip install 'modalens[{extra}]'.")
        error.extra = extra
        return error

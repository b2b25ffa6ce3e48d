"""What importing the package does."""

import subprocess
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(("wanted", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_told_otherwise(
    run_python: Callable[..., subprocess.CompletedProcess[str]], wanted: str | None, found: str
) -> None:
    code = f"""
        import os, sys
        os.environ.pop("OMP_WAIT_POLICY", None)
        os.environ.update({{}} if {wanted!r} is None else {{"OMP_WAIT_POLICY": {wanted!r}}})
        import modalens
        print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
        """
    assert run_python(code).stdout.split() == [found, "False"]

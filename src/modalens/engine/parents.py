"""A process that was started to help ends when the one that started it does, however that ends."""

import os
import time
from multiprocessing import connection, parent_process
from threading import Thread


def end_with_parent() -> None:
    """End this process, started by ``multiprocessing``, as soon as its parent is gone, even in the middle of work.

    The parent holds the other end of a pipe, which the system closes when it dies, of SIGKILL too; a thread here waits
    for that. So it holds on Linux, macOS and Windows. In a process of another kind nothing is done.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        connection.wait([sentinel])
        os._exit(1)

    Thread(target=watch, args=(parent.sentinel,), daemon=True, name="end-with-parent").start()


def end_with_launcher() -> None:
    """End this process within a second or two of the program that started it, such as ``torchrun``, in whatever work.

    Each process of ``torchrun`` leads a session of its own, so that killing the launcher reaches none of them, and one
    that is still looking for the others would do so for half an hour. Where there are no parents (Windows), nothing
    is done.
    """
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True, name="end-with-launcher").start()

"""A process that was started to help ends when the one that started it does, however that ends."""

import os
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

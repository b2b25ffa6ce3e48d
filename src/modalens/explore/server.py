"""Serve the explorer on this machine until it is told to end."""

import logging
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalens.errors import InputError, MissingPackageError, ModalensError
from modalens.explore.config import ExploreConfig
from modalens.explore.opened import OpenedRun, open_runs
from modalens.studies.text_to_image_control.config import SELF

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"


def serve(
    runs: Sequence[str | Path],
    config: ExploreConfig | None = None,
    *,
    ready: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Serve a page on some runs until the process is told to end (SIGTERM, or Ctrl-C).

    Parameters
    ----------
    runs
        Folders of runs; their baselines come with them.
    config
        Where it listens.
    ready
        Called with the address of the page, its token included, when it answers.
    stop
        Ends the server when it is set, for callers in a thread.

    Raises
    ------
    ModalensError
        If there is no run at a path, the port is taken, or the packages of the extra ``explore`` are missing.
    """
    config = config or ExploreConfig()
    try:
        import uvicorn

        from modalens.explore.app import Explorer
        from modalens.explore.drawing import Drawer
    except ImportError as error:
        name = (error.name or "starlette").partition(".")[0]
        if name not in ("starlette", "uvicorn"):
            raise
        raise MissingPackageError.of("The explorer", name, "explore") from error
    if config.generator != SELF:
        from modalens.studies.text_to_image_control.loading import require_diffusers

        require_diffusers(config.generator)
    opened = open_runs([Path(each) for each in runs], config.device)
    _prepare(next(iter(opened.values())))
    token = secrets.token_urlsafe(24)
    drawer = Drawer(config.generator, config.device)
    with _listening(config.port) as listening:
        port = listening.getsockname()[1]
        address = f"http://{HOST}:{port}/?token={token}"

        def answering() -> None:
            ready(address)
            if config.browser:
                webbrowser.open(address)

        settings = uvicorn.Config(
            Explorer(opened, drawer).app(port, token),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16_384,
        )
        _server(settings, answering, stop).run(sockets=[listening])


def _server(settings: Any, answering: Callable[[], None], stop: threading.Event | None) -> Any:
    """A server that says when it answers, and ends without an error when it is told to."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            threading.Thread(target=answering, daemon=True).start()

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            with _ending(self, stop):
                yield

    return Server(settings)


def _prepare(run: OpenedRun) -> None:
    """Make the index of the first run's first features before anyone waits for it; its page says what fails."""
    try:
        name = next(iter(run.sets), None)
        if name is not None:
            run.set(name)
    except ModalensError as error:
        logger.warning("%s", error)


@contextmanager
def _listening(port: int) -> Generator[socket.socket, None, None]:
    """A socket on this machine alone.

    Raises
    ------
    InputError
        If the port is taken or may not be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen(128)
        except OSError as error:
            raise InputError(
                f"Port {port} cannot be used ({error.strerror}); another explorer may have it: give another with "
                "--port, or 0 for any that is free."
            ) from error
        yield listening
    finally:
        listening.close()


@contextmanager
def _ending(server: Any, stop: threading.Event | None) -> Generator[None, None, None]:
    """Have the server end when the process is told to, or an event is set."""

    def end(*_: Any) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
        return
    if stop is not None:
        threading.Thread(target=lambda: end(stop.wait()), daemon=True).start()
    yield

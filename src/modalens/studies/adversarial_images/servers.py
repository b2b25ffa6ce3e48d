"""A client for chat servers that speak OpenAI's protocol: patient with busy ones, clear about dead ones."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib import import_module
from threading import Thread
from typing import Any

from modalens.errors import InputError, MissingPackageError, ModalensError
from modalens.redaction import redacted
from modalens.studies.adversarial_images.replies import ReplyError, bound_reply

logger = logging.getLogger(__name__)

_KEY = "OPENAI_API_KEY"
_BUSY = (408, 409, 425, 429)  # and whatever is over 499


class _UnansweredError(Exception):
    """One failed call: why, and how long the server asks to wait before the next."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class ChatServer:
    """An OpenAI-compatible server: OpenAI's own, vLLM, llama.cpp, Ollama and others.

    Attributes
    ----------
    url
        Its address up to the version, such as ``http://localhost:8000/v1``.
    model
        The name it has for the model.
    key
        Sent as a bearer token, and kept nowhere; None for servers that want none.
    timeout
        Seconds to wait for a whole answer.
    retries
        Further calls after one that failed in a way that may pass: no connection, no answer in time, a busy or
        failing server, an answer that is not in the protocol.
    pause
        Seconds before the first of these; twice as long before each next one, and at least as long as the server
        asks for (``Retry-After``).
    longest_pause
        Seconds that no pause exceeds.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    retries: int = 5
    pause: float = 1.0
    longest_pause: float = 60.0

    def __post_init__(self) -> None:
        shown = redacted(self.url)
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"A server's address starts with http:// or https://, not {shown!r}.")
        if shown != self.url:
            raise InputError(
                f"The server's address {shown} has a user name, a password or a query beside it, which results would "
                f"show; give a key in {_KEY}."
            )
        _check_key(self.key)
        if not self.model:
            raise InputError(f"Name the model to ask at {self.url}.")
        if self.timeout <= 0 or self.retries < 0 or self.pause < 0 or self.longest_pause < 0:
            raise InputError("A server's timeout must be over 0, and retries and pauses not under 0.")

    def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        seed: int = 0,
        temperature: float = 1.0,
        max_tokens: int = 128,
    ) -> str:
        """One answer to a conversation.

        Parameters
        ----------
        messages
            As the protocol has them: a role and a content each.
        seed, temperature, max_tokens
            Of the sampling; servers that know no seed ignore it.

        Raises
        ------
        ModalensError
            If the package openai is missing, or the server refuses the call or still gives no answer after all
            retries.
        """
        sampling = {"seed": seed, "temperature": temperature, "max_tokens": max_tokens}
        reason = ""
        for attempt in range(self.retries + 1):
            try:
                return self._call(messages, sampling)
            except _UnansweredError as failure:
                reason = str(failure)
                if attempt < self.retries:
                    wait = min(max(self.pause * 2**attempt, failure.wait), self.longest_pause)
                    logger.warning("%s: %s; trying again in %.3g s", self.url, reason, wait)
                    time.sleep(wait)
        raise ModalensError(
            f"The server {self.url} gave no answer in {self.retries + 1} calls (the last time: {reason}); see that it "
            "runs, then run again."
        )

    @cached_property
    def _client(self) -> Any:
        # Its own retries know nothing of replies that are no chat completion.
        openai = _openai()
        return openai.OpenAI(
            base_url=self.url,
            api_key=self.key or "none",
            timeout=self.timeout,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(
                event_hooks={"response": [lambda response: bound_reply(response, self.timeout)]}
            ),
        )

    def _call(self, messages: Sequence[Mapping[str, Any]], sampling: Mapping[str, Any]) -> str:
        """One call, in a thread that is left behind when the server keeps sending and never ends."""
        outcome: Future[str] = Future()

        def run() -> None:
            try:
                outcome.set_result(self._call_now(messages, sampling))
            except BaseException as error:
                outcome.set_exception(error)

        Thread(target=run, daemon=True).start()
        try:
            return outcome.result(self.timeout)
        except FutureTimeoutError as error:
            raise _UnansweredError(f"no answer within {self.timeout:g} s") from error

    def _call_now(self, messages: Sequence[Mapping[str, Any]], sampling: Mapping[str, Any]) -> str:
        openai = _openai()
        headers: dict[str, Any] = {"Accept-Encoding": "identity"}  # a few bytes must not become many
        if not self.key:
            headers["Authorization"] = openai.Omit()
        try:
            reply = self._client.chat.completions.create(
                model=self.model, messages=list(messages), extra_headers=headers, **sampling
            )
        except openai.APITimeoutError as error:
            raise _UnansweredError(f"no answer within {self.timeout:g} s") from error
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, ReplyError):
                raise _UnansweredError(str(error.__cause__)) from error
            raise _UnansweredError(f"no connection ({type(error.__cause__).__name__})") from error
        except openai.APIStatusError as error:
            status = error.status_code
            if status in _BUSY or status >= 500:
                raise _UnansweredError(
                    f"status {status}", _retry_after(error.response.headers.get("Retry-After", ""))
                ) from error
            raise ModalensError(
                f"The server {self.url} refused the call with status {status}; see that the address, the "
                f"model {self.model!r} and the key are right."
            ) from error
        except ReplyError as error:
            raise _UnansweredError(str(error)) from error
        except (openai.APIError, ValueError, RecursionError) as error:  # the latter two from JSON
            raise _UnansweredError("a reply that is no chat completion") from error
        answer = _answer(reply)
        return answer.replace(self.key, "***") if self.key else answer  # answers are kept


def server_named(name: str) -> ChatServer:
    """The server of ``URL#MODEL``, with the key of the environment if there is one.

    Raises
    ------
    ModalensError
        If the name is of another form, or the package openai is missing.
    """
    url, hash_, model = name.partition("#")
    if not hash_:
        raise InputError(
            f"Write a server as URL#MODEL, such as http://localhost:8000/v1#llava, not {redacted(name)!r}."
        )
    _openai()  # asked for now, and not after hours of attack
    return ChatServer(url, model, os.environ.get(_KEY) or None)


def _check_key(key: str | None) -> None:
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
        raise InputError(
            f"The key in {_KEY} has a blank, a line break or a letter that no key has, or is empty; set it again."
        )


def _openai() -> Any:
    try:
        return import_module("openai")
    except ImportError as error:
        raise MissingPackageError.of("A model behind a server", "openai", "servers") from error


def _answer(reply: Any) -> str:
    """The text of the first choice; a refusal is an answer too."""
    try:
        message = reply.choices[0].message
        content = message.content or getattr(message, "refusal", None) or ""
    except (LookupError, TypeError, AttributeError) as error:
        raise _UnansweredError("a reply that is no chat completion") from error
    if not isinstance(content, str):
        raise _UnansweredError("a reply whose content is no text")
    return content.encode("utf-8", "replace").decode().replace("\0", "")  # as files can keep it


def _retry_after(value: str) -> float:
    """Seconds that a server asks to wait, given as a number or as a date; 0 if it does not say."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0

import pickle
import subprocess
import sys
import textwrap
import time

import pytest

from modalens.errors import ModalensError
from modalens.redaction import has_credentials, public_name, redacted, redacted_trace


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host:80/a/b.tar?sig=x", "https://host:80/a/b.tar"),
        ("The shard 'https://host/a.tar?sig=x', which (s3://me:pw@b/c) stands for.",
         "The shard 'https://host/a.tar', which (s3://b/c) stands for."),
        ("simplecache::https://me:pw@host/a.tar", "simplecache::https://host/a.tar"),
        ("see https://host/a/{0..2}.tar; run again.", "see https://host/a/{0..2}.tar; run again."),
        ("mail me@host, or a://", "mail me@host, or a://"),
        ("http://[me:pw@", "http://***"),
    ],
)  # fmt: skip
def test_urls_lose_what_may_be_secret(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_keys_of_the_environment_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-key\n")
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setenv("SHORT_KEY", "a")
    assert redacted("b'Bearer sk-planted-key' and hf_planted, a") == "b'Bearer ***' and ***, a"


@pytest.mark.parametrize(
    "text",
    [
        "a.tar?sig={}",
        "b.tar?X-Amz-Signature={}&x=1",
        "c?token={} is late",
        "Authorization: Bearer {}",
        "//h/d?api_key={}",
        "the key hf_{}",
        "key='sk-proj-{}'",
    ],
)
def test_what_looks_like_a_secret_is_not_shown(text: str) -> None:
    secret = "0123456789abcdefghijklmn"
    assert secret not in redacted(text.format(secret))
    assert redacted(text.format("")) == text.format(""), "nothing else is changed"


def test_what_is_logged_or_warned_of_is_redacted() -> None:
    """By any library, with a handler of its own and with the error that it logs."""
    script = """
    import logging, threading, warnings
    from modalens.redaction import redact_what_is_logged

    redact_what_is_logged()
    handler = logging.StreamHandler()
    logging.getLogger("other").addHandler(handler)
    logging.getLogger("other").propagate = False
    url = "https://me:secret@host/a.tar?sig=secret"

    def fail():
        raise ValueError(url)

    try:
        fail()
    except ValueError:
        logging.getLogger("other").exception("%s, %d", url, 1)
    warnings.warn(url)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert "secret" not in done.stderr
    assert done.stderr.count("https://host/a.tar") == 4
    assert done.stderr.count("in fail") == 2


def test_sentences_of_ours_are_redacted_for_python_callers_too() -> None:
    error = ModalensError("The file https://me:pw@host/a.tar?sig=x is damaged.")
    assert str(error) == "The file https://host/a.tar is damaged."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_tracebacks_are_redacted_with_their_causes() -> None:
    try:
        try:
            raise OSError("https://me:planted@host/a")
        except OSError as error:
            raise RuntimeError("a.tar?token=planted") from error
    except RuntimeError as error:
        trace = redacted_trace(error)
    assert "planted" not in trace.replace('"https://me:planted@host/a"', "").replace(
        '"a.tar?token=planted"', ""
    )
    assert "OSError: https://host/a" in trace


def test_names_of_urls_tell_files_apart_without_their_secrets() -> None:
    first, second = (public_name(f"https://host/a.jpg?token=secret-{each}") for each in "ab")
    assert first != second
    assert "secret" not in first + second
    assert public_name("https://host/a.jpg") == "https://host/a.jpg"


def test_passwords_in_addresses_are_found() -> None:
    assert has_credentials("wds:https://me:pw@host/a.tar")
    assert has_credentials("simplecache::ftp://me:pw@host/a.tar")
    assert not has_credentials("sftp://me@host/a.tar::s3://bucket/a:b@c.tar")


def test_errors_of_memory_are_known() -> None:
    import numpy as np
    import torch

    from modalens.errors import is_out_of_memory, out_of_memory_sentence

    with pytest.raises(MemoryError) as caught:
        np.empty(2**50)
    for error in (
        caught.value,
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("not enough memory: x"),
    ):
        assert is_out_of_memory(error)
    assert "GPU" in out_of_memory_sentence(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "a.b-" * 100_000, "http://a:b@" * 50_000, "&token" * 100_000]
)
def test_long_texts_take_time_in_proportion_to_their_length(text: str) -> None:
    started = time.process_time()
    redacted(text)
    assert time.process_time() - started < 2

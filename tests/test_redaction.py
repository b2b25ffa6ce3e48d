import logging

import pytest

from modalens.redaction import RedactingFilter, has_credentials, redacted


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
    record = logging.LogRecord("x", logging.INFO, "", 1, "%s: %d", ("hf_planted", 1), None)
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "***: 1"


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

"""What every request must pass: the right host and origin, the token where something is written or embedded."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

TOKEN_HEADER = "x-modalens-token"
# Nothing but what the explorer serves itself: no script, style, picture or connection from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")
_OWN_SITE = ("same-origin", "none")
_LONGEST_ADDRESS = 4096


class Guard:
    """Refuses what does not come from the explorer's own page, and gives every answer its headers.

    A page elsewhere can have its name resolve to this machine (DNS rebinding): its requests carry that name as Host.
    It can also send requests to 127.0.0.1 and not read the answers: those carry its Origin or its site, and no token.

    Parameters
    ----------
    app
        What answers.
    port
        The port that is listened on.
    token
        What requests must carry that write or embed.
    """

    def __init__(self, app: App, port: int, token: str) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        if port == 80:
            self._hosts |= {"127.0.0.1", "localhost"}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket is never opened
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, _with_headers(send))
            return
        status, sentence = refused
        body = f'{{"error": "{sentence}"}}'.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        answer = _with_headers(send)
        await answer({"type": "http.response.start", "status": status, "headers": headers})
        await answer({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > _LONGEST_ADDRESS:
            return 414, "The address is too long."
        if len(hosts := headers.get("host", [])) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "The explorer answers only at its own address on this machine."
        origins = headers.get("origin", [])
        if any(origin.lower() not in {f"http://{host}" for host in self._hosts} for origin in origins):
            return 403, "The request comes from another page."
        sites = headers.get("sec-fetch-site", [])
        if scope["path"] != "/" and any(site not in _OWN_SITE for site in sites):
            return 403, "The request comes from another page."
        if scope["method"] not in _SAFE:
            given = headers.get(TOKEN_HEADER, [""])
            if len(given) != 1 or not hmac.compare_digest(given[0].encode("latin-1"), self._token):
                return 403, "This needs the token: open the address that modalens explore printed."
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending

"""API keys, the caller's headers and user information are redacted in every text, whatever a server sends back."""

import asyncio
import base64
import io
import json
import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from time import process_time
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.adapters import BASE_URL, FunctionAdapter, response
from support.both_clients import CLIENTS, Side
from support.fixtures import Clock, LogLines
from support.hostile_server import answering, serving
from support.shown_secrets import ECHOES, HEADER, RAW_ECHOES, causes_and_contexts, shown_texts, texts_without_causes

from translation_client import AsyncVideoTranslationClient, TranslationClientError, VideoTranslationClient
from translation_client._auth.redactor import MARK, Redactor
from translation_client._clock import Deadline
from translation_client._models import Fault, Request

KEY = 'k/"s3cr3t"<é>'
USER, PASSWORD = "u-s3cr3t", "p@s3cr3t"


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status_code", [200, 401, 404, 503])
@pytest.mark.parametrize("secret", [KEY, HEADER])
def test_a_secret_that_a_server_echoes_is_in_no_text(
    clock: Clock, lines: LogLines, capsys: pytest.CaptureFixture[str], echo: str, status_code: int, secret: str
) -> None:
    """Not in a log line, an error, its repr or attributes, nor in the repr of a job."""
    adapter = FunctionAdapter(lambda _: response(status_code, ECHOES[echo](secret), retry_after=quote(secret)))
    session = requests.Session()
    session.mount(BASE_URL, adapter)
    client = VideoTranslationClient(
        BASE_URL, api_key=KEY, headers={"X-Mine": HEADER}, session=session, sleep=clock.tick, timeout=5
    )
    shown = repr(client)
    try:
        shown += repr(client.wait())
    except TranslationClientError as error:
        shown += shown_texts(error)

    shown += repr(list(lines)) + "".join(capsys.readouterr())
    assert "s3cr3t" not in shown
    assert base64.b64encode(secret.encode()).decode() not in shown


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize("echo", RAW_ECHOES)
def test_exceptions_of_libraries_in_an_error_hold_no_secret(lines: LogLines, echo: bytes, with_session: bool) -> None:
    """They quote lines of the response and URLs with queries, and hold the request with its headers."""
    session = requests.Session() if with_session else None
    with (
        serving(answering(echo)) as server,
        VideoTranslationClient(
            server.url, api_key="s3cr3t-key", session=session, max_faults=1, max_retries=0
        ) as client,
        pytest.raises(TranslationClientError) as caught,
    ):
        client.wait()
    if session is not None:
        session.close()

    assert "s3cr3t" not in shown_texts(caught.value) + repr(list(lines))


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    "echo", [b"", *(echo for echo in RAW_ECHOES if echo.endswith((b"s3cr3t-key\r\n", b"OK\r\n\r\n")))]
)
def test_the_causes_and_contexts_of_a_fault_of_a_transport_hold_no_secret(kind: type[Any], echo: bytes) -> None:
    """An exception of a library among them would hold the request with its headers."""

    async def fault_of_a_call(url: str) -> Fault:
        client = kind(url, api_key="s3cr3t-key")
        with pytest.raises(Fault) as caught:
            await client._transport.send(
                Request("GET", "/status"), Deadline.after(60), lambda: False, new_connection=False
            )
        closed = client.close()
        if closed is not None:
            await closed
        return caught.value

    with serving(answering(echo)) as server:
        fault = asyncio.run(fault_of_a_call(server.url))

    assert "s3cr3t" not in "".join(map(texts_without_causes, causes_and_contexts(fault)[1:]))


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("line", [b"you sent {}", b" folded {}", b": {}", b"{}", b"Bad Name: {}"])
def test_no_library_logs_a_malformed_header_line(monkeypatch: pytest.MonkeyPatch, kind: type[Any], line: bytes) -> None:
    """urllib3 would log it with the whole URL, as a warning. For other sessions it still does."""
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    monkeypatch.setattr(logging.root, "handlers", [handler])
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    body = b'{"result": "pending"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nX-First: 0\r\n" + line.replace(b"{}", b"s3cr3t-key")
    is_refused = kind is AsyncVideoTranslationClient and not line.startswith(b" ")

    async def action(url: str) -> None:
        client = kind(url, api_key="s3cr3t-key", max_faults=1)
        with pytest.raises(TranslationClientError) if is_refused else nullcontext():
            job = await Side(client, None, "reference", None).call("check")  # type: ignore[arg-type]  # not needed
            assert job.raw_status == "pending"
        closed = client.close()
        if closed is not None:
            await closed

    with serving(answering(head + b"\r\nX: 1\r\n\r\n" + body)) as server:
        asyncio.run(action(server.url))
        assert "s3cr3t" not in logged.getvalue()
        assert "urllib3" not in logged.getvalue()
        with requests.Session() as others, suppress(requests.RequestException):
            others.get(server.url)
    if line.startswith(b"you"):
        assert "Failed to parse headers" in logged.getvalue()  # other sessions are logged as before


def test_the_password_of_a_proxy_is_in_no_error(monkeypatch: pytest.MonkeyPatch, lines: LogLines) -> None:
    """A malformed proxy URL does not end in a `TypeError` either."""
    for proxy in ("http://u:s3cr3t@127.0.0.1:99999", "http://u:s3cr3t@", "http://u:s3cr3t@127.0.0.1:1"):
        monkeypatch.setenv("http_proxy", proxy)
        with (
            VideoTranslationClient("http://service.test", max_faults=1) as client,
            pytest.raises(TranslationClientError) as caught,
        ):
            client.wait()
        assert "s3cr3t" not in shown_texts(caught.value)


@pytest.mark.parametrize("base_url", [f"http://{USER}:{quote(PASSWORD)}@127.0.0.1:9", f"http://{USER}@127.0.0.1:9/x"])
def test_user_information_in_base_url_is_in_no_text(clock: Clock, lines: LogLines, base_url: str) -> None:
    """Not in the URL of an error either."""
    client = VideoTranslationClient(base_url, sleep=clock.tick, max_faults=2)

    with pytest.raises(TranslationClientError) as caught:
        client.wait()

    assert "s3cr3t" not in shown_texts(caught.value) + repr(client) + repr(list(lines))


def test_user_information_in_base_url_is_sent_as_basic_authentication() -> None:
    """It is percent-decoded, and is not in the URL of the request."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount("http://host", adapter)
    VideoTranslationClient(f"http://{USER}:{quote(PASSWORD)}@host", session=session).check()

    expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert adapter.requests[0].headers["Authorization"] == f"Basic {expected}"
    assert adapter.requests[0].url == "http://host/status"


def test_the_key_of_the_reference_service_is_sent_as_a_bearer_token() -> None:
    """An `Authorization` header of the caller takes precedence."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, adapter)
    VideoTranslationClient(BASE_URL, session=session, api_key="k").check()
    VideoTranslationClient(BASE_URL, session=session, api_key="k", headers={"authorization": "Mine"}).check()

    assert [request.headers["Authorization"] for request in adapter.requests] == ["Bearer k", "Mine"]


@pytest.mark.exhaustive
@given(st.text(min_size=1), st.text(), st.text())
def test_redact_leaves_no_secret_in_the_names_and_values_of_json(secret: str, before: str, after: str) -> None:
    """Whatever text is before and after the secret."""
    redacted = Redactor([secret]).redact([{before: [before + secret + after]}])

    assert all(secret not in part for entry in redacted for text in (*entry, *entry.values()) for part in parts(text))


def parts(text: Any) -> list[str]:
    """Return the parts of a text between the marks."""
    whole: str = text if isinstance(text, str) else text[0]
    return whole.split(MARK)


@pytest.mark.parametrize(
    ("value", "text", "redacted"),
    [
        ("en", "pending", "pending"),
        ("en", "en, de", f"{MARK}, de"),
        ("abc", '{"key": "abc"}', f'{{"key": "{MARK}"}}'),
        ("abcdefg", "xabcdefgx, abcdefg", f"xabcdefgx, {MARK}"),
        ("abcdefgh", "xabcdefghx", f"x{MARK}x"),
    ],
)
def test_a_header_of_less_than_eight_characters_is_redacted_only_as_a_whole_word(
    value: str, text: str, redacted: str
) -> None:
    """Otherwise the "en" of an `Accept-Language` would be redacted in "pending"."""
    assert Redactor(headers=[value]).redact(text) == redacted


def test_a_key_is_redacted_within_a_word_and_as_a_json_number() -> None:
    """Within a word even if it is short. Other JSON numbers stay."""
    secrets = Redactor(["pw12", "12345678901"])

    assert secrets.redact({"detail": "pass pw12_", "key": 12345678901, "n": 7}) == {
        "detail": f"pass {MARK}_",
        "key": MARK,
        "n": 7,
    }


@pytest.mark.parametrize("key", ["7", "404", "54321", "5432109"])
def test_a_numeric_key_is_redacted_as_a_whole_json_number(key: str) -> None:
    """However short it is. Other numbers stay, and so does an HTTP status in an error body."""
    number = int(key)
    secrets = Redactor([key], headers=["12"])
    body = {"key": number, "keys": [number], "count": 12, "is": True, "more": number * 10 + 1, "status": number}
    shown = secrets.redact_fields(body, frozenset({"status"}), frozenset({"status"}))

    assert (shown["key"], shown["keys"], shown["count"], shown["is"]) == (MARK, [MARK], 12, True)
    assert shown["status"] == (number if number < 1000 else MARK)
    assert secrets.redact({"more": 543}) == {"more": 543}


@pytest.mark.parametrize(
    "form",
    ["se%2fcr%2bet", "se%2Fcr%2Bet", "se\\/cr+et", *("se/cr+et".encode(f"utf-{n}-le").decode() for n in (16, 32))],
)
def test_a_key_is_redacted_in_the_encodings_of_servers(form: str) -> None:
    """Percent-encoded in both cases, with the slashes of some JSON, and with the NULs of UTF-16 and UTF-32."""
    assert Redactor(["se/cr+et"]).redact(f"x{form}x").replace("\0", "") == f"x{MARK}x"


ODD_KEY = "sk-Q7+ab&d/e'gh\u00e9 12345=="
ESCAPES: dict[str, Callable[[str], str]] = {
    "some percent-encoded": lambda key: quote(key, safe="/='"),
    "some, lower case": lambda key: quote(key, safe="+").lower().replace("sk-q7", "sk-Q7"),
    "all percent-encoded": lambda key: "".join(f"%{code:02X}" for code in key.encode()),
    "percent-encoded Latin-1": lambda key: quote(key.encode("latin-1")),
    "percent-encoded twice": lambda key: quote(quote(key, safe="'")),
    "in JSON": lambda key: key.replace("+", "\\u002B").replace("&", "\\u0026").replace("/", "\\/"),
    "in JSON, lower case": lambda key: key.replace("+", "\\u002b").replace("'", "\\u0027"),
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key)[1:-1].replace("/", "\\/"))[1:-1],
    "in Python": lambda key: key.replace("'", "\\'").replace("\u00e9", "\\xe9"),
    "in HTML": lambda key: key.replace("'", "&#39;").replace("&", "&", 1).replace("+", "&plus;"),
    "in HTML, in hexadecimal": lambda key: (
        key.replace("=", "&#x3D;").replace("'", "&#X27;").replace("\u00e9", "&#x00e9;")
    ),
    "in HTML, by name": lambda key: key.replace("&", "&amp;").replace("=", "&equals;").replace("\u00e9", "&eacute;"),
    "percent-encoded in JSON in HTML": lambda key: quote(key).replace("/", "\\/").replace("%", "&#37;"),
}


@pytest.mark.parametrize("way", ESCAPES)
def test_a_key_is_redacted_whichever_of_its_characters_are_escaped(way: str) -> None:
    """The text around it stays as it was written, with its own escapes."""
    text = f'%41 {{"a\\u0041": "{ESCAPES[way](ODD_KEY)}", "b": "\\u0042&lt;"}} %zz \\'
    expected = f'%41 {{"a\\u0041": "{MARK}", "b": "\\u0042&lt;"}} %zz \\'
    secrets = Redactor([ODD_KEY])

    assert secrets.redact(text) == expected
    assert secrets.redact_id(text) == expected
    assert secrets.contains_secret(text)


KEY_CHARACTERS = st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="%\\&")
"""Without the characters that begin an escape, as mixtures of them are ambiguous. `ODD_KEY` has one of them."""


@given(st.data(), st.text(KEY_CHARACTERS, min_size=8))
def test_a_key_is_redacted_with_any_mixture_of_escapes(data: st.DataObject, key: str) -> None:
    """Each character is plain, or escaped as in a URL, in JSON or in HTML."""
    ways: list[Callable[[str], str]] = [
        str,
        quote,
        lambda letter: f"\\u{ord(letter):04x}",
        lambda letter: f"&#{ord(letter)};",
    ]
    written = "".join(data.draw(st.sampled_from(ways))(letter) for letter in key)

    assert Redactor([key]).redact(f"({written})") == f"({MARK})"


@pytest.mark.parametrize("before", ["", "u", "u:", "user", "user:"])
@pytest.mark.parametrize("behind", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("encoding", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_is_redacted_within_base64(before: str, behind: str, encoding: Callable[[bytes], bytes]) -> None:
    """With padding, without it, and as a part of a longer text, of which only some digits at its ends are left."""
    key = "12345>?\u00e9abc~67890fghij"
    encoded = encoding(f"{before}{key}{behind}".encode()).decode()

    for text in (encoded, encoded.rstrip("=")):
        left = Redactor([key]).redact(text).split(MARK)
        assert len(left) == 2
        assert len("".join(left)) <= 2 + 8 * len(before + behind)


@pytest.mark.parametrize("key", ["an", "woman", "pending", "sk_1234"])
def test_a_short_key_is_not_redacted_in_escaped_text_or_in_parts_of_base64(key: str) -> None:
    """A short word in base64 without padding, or as a part of base64, is in other words by chance."""
    encoded = base64.b64encode(key.encode()).decode()
    unpadded = encoded.rstrip("=")
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    parts = [base64.b64encode(f"{before}{key}x".encode()).decode() for before in ("", "x", "xx")]
    assert Redactor([key]).redact(encoded) == MARK
    for text in (unpadded, escaped, *parts):
        assert Redactor([key]).redact(text) == text


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "part", ["\\", "%", "%25", "&", "&#", "&#x0", "&amp;", "&amp", "\\u", "\\u005c", "%E0%80", "%F0", "a", "sk-Q7%2Bab"]
)
def test_the_search_for_keys_is_not_quadratic_in_the_length_of_the_text(part: str) -> None:
    """Twenty times the text takes about 20 times the time of the process, and would take 400 times."""
    secrets = Redactor([ODD_KEY])
    secrets.redact(part)

    def least_seconds(length: int) -> float:
        text, seconds = part * (length // len(part)), []
        for _ in range(2):
            began_at = process_time()
            assert secrets.redact(f"{text} {quote(ODD_KEY)}") == f"{text} {MARK}"
            seconds.append(process_time() - began_at)
        return min(seconds)

    assert least_seconds(200_000) < 100 * least_seconds(10_000)


def test_raw_status_is_not_redacted_in_the_log_if_a_header_has_the_same_value(lines: LogLines) -> None:
    """A status word belongs to the vocabulary of the service, and is no secret."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, adapter)

    VideoTranslationClient(BASE_URL, session=session, headers={"X": "pending"}).check()
    assert [line["raw_status"] for line in lines.of("status_checked")] == ["pending"]


def test_printable_escapes_control_characters_and_shortens_text() -> None:
    """Otherwise a server could set the title of a terminal window, or add lines to a log."""
    assert Redactor().printable("a\x1b]0;b\x07\nc\ud800") == r"a\x1b]0;b\x07\nc\ud800"
    assert len(Redactor().printable("x" * 10_000)) == 200


def test_redacting_without_secrets_changes_nothing() -> None:
    """An empty secret counts as none."""
    value: Any = {"a": ["b", 1, None]}

    assert Redactor([""]).redact(value) == value


@pytest.mark.parametrize("secrets", [[], ["k"]])
def test_redact_replaces_json_below_the_fiftieth_level(secrets: list[str]) -> None:
    """Redacting or showing all levels would end in a `RecursionError`."""
    deep: Any = []
    for _ in range(900):
        deep = [deep]

    assert repr(Redactor(secrets).redact(deep)) == "[" * 50 + repr(MARK) + "]" * 50


def test_the_repr_of_a_redactor_shows_no_secret() -> None:
    """A traceback with local variables shows it, for instance."""
    assert "k3y" not in repr(Redactor(["k3y"]))

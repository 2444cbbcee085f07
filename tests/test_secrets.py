"""A key, the caller's headers and the user information of a URL never appear, whatever a server sends back."""

import base64
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from conftest import BASE_URL, Answers, Clock, Lines, response
from hypothesis import given
from hypothesis import strategies as st

from translation_client import TranslationClientError, VideoTranslationClient
from translation_client.redaction import MARK, Secrets

KEY = 'k/"s3cr3t"<é>'
HEADER = "h-s3cr3t-9"
USER, PASSWORD = "u-s3cr3t", "p@s3cr3t"

ECHOES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda secret: secret.encode(),
    "as JSON": lambda secret: json.dumps({"result": secret, "error": {"message": [secret], secret: 1}}).encode(),
    "as JSON with everything escaped": lambda secret: (
        b'{"result": "x", "detail": "' + b"".join(b"\\u%04x" % ord(letter) for letter in secret) + b'"}'
    ),
    "as the status word": lambda secret: json.dumps({"result": f"bad {secret}", "error": secret}).encode(),
    "percent-encoded": lambda secret: quote(secret, safe="").encode(),
    "in base64": lambda secret: base64.b64encode(secret.encode()),
    "in a long page": lambda secret: b"<p>" + b"x" * 190 + secret.encode() + b"x" * 1000,
}


def everything_said(error: BaseException) -> str:
    """Messages, reprs, attributes and causes, as an error tracker would send them."""
    text = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        text += repr(seen) + repr(vars(seen)) + str(seen.args)
        seen = seen.__cause__ or seen.__context__
    return text + str(pickle.loads(pickle.dumps(error)).__dict__)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status_code", [200, 401, 404, 503])
@pytest.mark.parametrize("secret", [KEY, HEADER])
def test_a_server_that_echoes_a_secret_gets_it_nowhere(
    clock: Clock, lines: Lines, capsys: pytest.CaptureFixture[str], echo: str, status_code: int, secret: str
) -> None:
    """Not into a log line, an error, its repr or attributes, nor into the repr of a job."""
    answers = Answers(lambda _: response(status_code, ECHOES[echo](secret), retry_after=quote(secret)))
    session = requests.Session()
    session.mount(BASE_URL, answers)
    client = VideoTranslationClient(
        BASE_URL, api_key=KEY, headers={"X-Mine": HEADER}, session=session, sleep=clock.tick, timeout=5
    )
    said = repr(client)
    try:
        said += repr(client.wait())
    except TranslationClientError as error:
        said += everything_said(error)

    said += repr(list(lines)) + "".join(capsys.readouterr())
    assert "s3cr3t" not in said
    assert base64.b64encode(secret.encode()).decode() not in said


@pytest.mark.parametrize("base_url", [f"http://{USER}:{quote(PASSWORD)}@127.0.0.1:9", f"http://{USER}@127.0.0.1:9/x"])
def test_user_information_travels_as_a_header_and_shows_nowhere(clock: Clock, lines: Lines, base_url: str) -> None:
    """Not in the URL of an error either."""
    client = VideoTranslationClient(base_url, sleep=clock.tick, max_faults=2)

    with pytest.raises(TranslationClientError) as caught:
        client.wait()

    assert "s3cr3t" not in everything_said(caught.value) + repr(client) + repr(list(lines))


def test_user_information_arrives() -> None:
    """Decoded, as Basic authentication."""
    answers = Answers(lambda _: response())
    session = requests.Session()
    session.mount("http://host", answers)
    VideoTranslationClient(f"http://{USER}:{quote(PASSWORD)}@host", session=session).check()

    expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert answers.requests[0].headers["Authorization"] == f"Basic {expected}"
    assert answers.requests[0].url == "http://host/status"


def test_the_key_travels_as_a_bearer_token() -> None:
    """As the reference service wants it; a header of the caller's of the same name comes first."""
    answers = Answers(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, answers)
    VideoTranslationClient(BASE_URL, session=session, api_key="k").check()
    VideoTranslationClient(BASE_URL, session=session, api_key="k", headers={"authorization": "Mine"}).check()

    assert [request.headers["Authorization"] for request in answers.requests] == ["Bearer k", "Mine"]


@given(st.text(min_size=1), st.text(), st.text())
def test_scrubbing_leaves_no_trace(secret: str, before: str, after: str) -> None:
    """Wherever it stands."""
    scrubbed = Secrets([secret]).scrub([{before: [before + secret + after]}])

    assert all(secret not in part for entry in scrubbed for text in (*entry, *entry.values()) for part in parts(text))


def parts(text: Any) -> list[str]:
    """What stands between the marks."""
    whole: str = text if isinstance(text, str) else text[0]
    return whole.split(MARK)


def test_scrubbing_without_secrets_changes_nothing() -> None:
    """And an unset one is none."""
    value: Any = {"a": ["b", 1, None]}

    assert Secrets([""]).scrub(value) == value


@pytest.mark.parametrize("secrets", [[], ["k"]])
def test_what_is_nested_without_end_is_replaced(secrets: list[str]) -> None:
    """Looking through it would end in a RecursionError, and so would showing it."""
    deep: Any = []
    for _ in range(900):
        deep = [deep]

    assert repr(Secrets(secrets).scrub(deep)) == "[" * 50 + repr(MARK) + "]" * 50


def test_secrets_hide_themselves() -> None:
    """In a traceback with locals, for instance."""
    assert "k3y" not in repr(Secrets(["k3y"]))

"""A key goes to the origin of base_url and nowhere else, and is never shown: looked for over every way to fail."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Answers, Clock, Lines, response
from worlds import HOST, KEY, LANGUAGE, PATH, SERVICES, SIGNATURE, VIDEO, World

from fake_server import Scenario
from translation_client import TranslationClientError, VideoTranslationClient
from translation_client.services import service_named

VARIABLES = {service: str(service_named(service).key_variable) for service in SERVICES}


@pytest.fixture(autouse=True)
def _no_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES.values(), "SPEECH_REGION"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("service", SERVICES)
def test_a_key_comes_from_the_variable_of_the_service(
    clock: Clock, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none is given; the argument goes before it."""
    monkeypatch.setenv(VARIABLES[service], "key-of-the-environment")
    world = World(clock, service, Scenario(0, api_key="key-of-the-environment"), api_key=None)
    other = World(clock, service, Scenario(0, api_key=KEY))

    assert world.finished().status == "completed"
    assert other.finished().status == "completed"


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure"])
def test_a_missing_key_is_refused_before_anything_is_sent(service: str) -> None:
    """With what to do next."""
    with pytest.raises(
        ValueError, match=f"api_key must be given, or the environment variable {VARIABLES[service]} set"
    ):
        VideoTranslationClient(HOST, service=service)


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"authorization": "Bearer oauth-token"}},
        {"headers": {"x-API-key": "k"}},
        {"base_url": "http://user:secret@fake.test"},
    ],
)
def test_another_proof_will_do(arguments: dict[str, Any]) -> None:
    """HeyGen takes OAuth tokens, and a gateway its own."""
    VideoTranslationClient(**{"base_url": HOST, "service": "heygen", **arguments})


def test_a_session_may_have_the_proof() -> None:
    """In its auth, or in its headers."""
    for session in (requests.Session(), requests.Session()):
        with pytest.raises(ValueError, match="api_key must be given"):
            VideoTranslationClient(HOST, service="heygen", session=session)
        session.headers["X-Api-Key"] = "k"
        VideoTranslationClient(HOST, service="heygen", session=session)
    session = requests.Session()
    session.auth = ("a", "b")
    VideoTranslationClient(HOST, service="heygen", session=session)


@pytest.mark.parametrize("bad", ["line\nbreak", " spaced", "ключ"])
def test_a_key_of_the_environment_that_cannot_be_sent_is_named_by_its_variable(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not by its value."""
    monkeypatch.setenv("HEYGEN_API_KEY", bad)
    with pytest.raises(ValueError, match="the environment variable HEYGEN_API_KEY cannot be sent") as caught:
        VideoTranslationClient(HOST, service="heygen")
    assert bad not in str(caught.value)


def test_a_key_that_changes_is_asked_for_before_each_call(clock: Clock) -> None:
    """A token that expires in the middle of a wait."""
    tokens = iter(f"token-number-{number}" for number in range(100))
    world = World(clock, "heygen", Scenario(30), api_key=lambda: next(tokens))
    world.client.wait(world.submit())
    sent = [arrival.headers["X-Api-Key"] for arrival in world.lab.arrivals]

    assert sent == [f"token-number-{number}" for number in range(len(sent))]
    assert len(sent) > 3


def test_what_gives_the_key_may_raise(clock: Clock) -> None:
    """That is the caller's own error, and nothing is sent."""

    def broken() -> str:
        raise LookupError("the vault is closed")

    world = World(clock, "heygen", api_key=broken)
    with pytest.raises(LookupError, match="the vault is closed"):
        world.submit()
    assert world.lab.arrivals == []


@pytest.mark.parametrize(("given", "kind"), [("", ValueError), ("a\nb", ValueError), (None, TypeError), (7, TypeError)])
def test_a_bad_key_from_a_function_is_refused(clock: Clock, given: Any, kind: type[Exception]) -> None:
    """By the same rules as one that is given."""
    world = World(clock, "heygen", api_key=lambda: given)
    with pytest.raises(kind, match=r"what api_key\(\) returns"):
        world.submit()
    assert world.lab.arrivals == []


def test_a_class_is_no_key() -> None:
    """It can be called, but was meant otherwise."""
    with pytest.raises(TypeError, match="api_key"):
        VideoTranslationClient(HOST, api_key=str)


Echo = Callable[[requests.PreparedRequest], requests.Response]


def echoing(code: int, shape: Callable[[str], Any], **headers: str) -> Echo:
    """A server that says back all that it was told: the request line, the headers and the body."""

    def answer(request: requests.PreparedRequest) -> requests.Response:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        told = (
            f"{request.method} {request.url} {dict(request.headers)} {body} {base64.b64encode(KEY.encode()).decode()}"
        )
        said = shape(told)
        return response(code, said if isinstance(said, bytes) else json.dumps(said).encode(), **headers)

    return answer


SHAPES: tuple[Callable[[str], Any], ...] = (
    lambda told: {"error": {"code": told, "message": told}},
    lambda told: {"detail": {"status": told, "message": told}},
    lambda told: {"detail": [{"loc": ["body", told], "msg": told}]},
    lambda told: {"type": told, "title": told, "detail": told},
    lambda told: {"data": {"id": told, "status": told, "failure_message": told, "video_url": told}, "result": told},
    lambda told: {told: {told: [told]}},
    lambda told: f"<html>{told}".encode(),
    lambda told: {"data": {"languages": [told], "video_translation_ids": [[told]]}},
    lambda told: {
        "data": {"status": "running", "output_language": told},
        "status": "dubbed",
        "target_languages": [told],
    },
)
CODES = (200, 204, 302, 400, 401, 403, 404, 409, 425, 429, 500, 503)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("code", CODES)
def test_no_way_to_fail_shows_a_key(clock: Clock, lines: Lines, tmp_path: Path, service: str, code: int) -> None:
    """In a message, an attribute, a traceback, a pickle or a line of the log; nor the signature of the video."""
    for shape in SHAPES:
        session = requests.Session()
        session.mount("http://", Answers(echoing(code, shape, retry_after=f"soon {KEY}")))
        client = VideoTranslationClient(
            HOST + PATH.get(service, ""),
            service=service,
            api_key=lambda: KEY,
            headers={"X-Mine": "header-of-the-caller"},
            session=session,
            sleep=clock.tick,
            max_faults=2,
            max_retries=1,
            timeout=60,
        )
        for errand in (
            lambda: client.submit(VIDEO, LANGUAGE[service]),  # noqa: B023  # called at once
            lambda: client.wait("job-1"),  # noqa: B023
            lambda: client.download("job-1", tmp_path / "out"),  # noqa: B023
            lambda: client.delete("job-1"),  # noqa: B023
            lambda: client.check_all(["job-1"]),  # noqa: B023
            lambda: client.languages(),  # noqa: B023
        ):
            assert_says_nothing(errand)
        assert KEY not in repr(client)
    written = json.dumps(lines)
    for secret in (KEY, "header-of-the-caller", SIGNATURE):
        assert secret not in written


def assert_says_nothing(errand: Callable[[], object]) -> None:
    try:
        shown = repr(errand())
    except TranslationClientError as error:
        trace = "".join(traceback.format_exception(error))
        again = pickle.loads(pickle.dumps(error))
        shown = f"{error!r} {error} {vars(error)} {vars(again)} {trace}"
        if error.job is not None:
            shown += repr(error.job.payload)
    except ValueError as error:  # a language that is not in the list
        shown = str(error)
    for secret in (KEY, "header-of-the-caller", base64.b64encode(KEY.encode()).decode()):
        assert secret not in shown


def test_a_signed_link_is_not_in_an_error_nor_in_a_line(clock: Clock, lines: Lines, tmp_path: Path) -> None:
    """Whoever has it has the file."""
    world = World(clock, "heygen", Scenario(0, faults=["result/every-1:503"]))
    job = world.finished()

    with pytest.raises(TranslationClientError) as caught:
        world.client.download(job, tmp_path / "out.mp4")
    assert "/_files/" in str(caught.value)
    for shown in (str(caught.value), "".join(traceback.format_exception(caught.value)), json.dumps(lines), repr(job)):
        assert "signature=" not in shown

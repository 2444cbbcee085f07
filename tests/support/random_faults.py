"""Strategies of Hypothesis for faults of the fake server, and for the limits of a wait."""

from __future__ import annotations

from hypothesis import strategies as st

from fake_server import Fault
from fake_server.faults import ACTIONS

HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Retry-After",
            "Location",
            "Content-Length",
            "Content-Encoding",
            "Content-Type",
            "Transfer-Encoding",
            "Date",
            "X-Any",
        ]
    ),
    st.one_of(
        st.sampled_from(
            [
                "0",
                "3",
                "40",
                "999999",
                "-1",
                "soon",
                "{date+3}",
                "{date-60}",
                "gzip",
                "deflate",
                "gzip, gzip, gzip",
                "chunked",
            ]
        ),
        st.sampled_from(
            ["/status", "/_loop", "//", "http://[", "https://else.test/x", "ftp://else.test", "a:b", "?", "\xff"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    ),
    max_size=3,
)

BODIES = st.one_of(
    st.sampled_from(
        [
            '{"result": "pending"}',
            '{"result": "completed"}',
            '{"result": "error"}',
            '{"result": null}',
            '{"detail": 3}',
            '{"result": ["completed"]}',
            '"completed"',
            '{"title": "no", "status": 400}',
        ]
    ),
    st.text(max_size=20),
)

TRIGGERS = st.one_of(
    st.fixed_dictionaries({"nth": st.integers(1, 9)}),
    st.fixed_dictionaries({"every": st.integers(1, 9)}),
    st.tuples(st.floats(0, 30), st.floats(0.1, 30)).map(lambda span: {"between": (span[0], span[0] + span[1])}),
)

FAULTS = st.builds(
    lambda trigger, action, rest: Fault(
        **trigger, action="drop" if action == "refuse" and "between" not in trigger else action, **rest
    ),
    TRIGGERS,
    st.sampled_from([action for action in ACTIONS if action != "gzip-bomb"]),  # which takes time, and is in the table
    st.fixed_dictionaries(
        {},
        optional={
            "status_code": st.sampled_from([200, 202, 204, 301, 302, 304, 400, 404, 425, 429, 500, 503])
            | st.integers(100, 999),
            "headers": HEADERS,
            "body": BODIES,
            "seconds": st.floats(0, 60),
        },
    ),
)

POLICIES = st.fixed_dictionaries(
    {
        "timeout": st.floats(0.5, 60).map(lambda seconds: round(seconds, 2)),
        "max_retries": st.integers(0, 30),
        "backoff_factor": st.floats(0.05, 5),
        "max_delay": st.floats(0.1, 20),
        "jitter": st.floats(0, 1),
        "request_timeout": st.floats(0.1, 20),
        "max_faults": st.integers(1, 6),
    }
)

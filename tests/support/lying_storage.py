"""A storage host that replaces its file at any time and lies about lengths, ranges, validators and codings.

It tells only lies that an honest statement contradicts: in the same response, or in one before it. A host that says 600
bytes and sends 600 bytes of a file of 1000, and has never said anything else, is believed by every client.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal, NamedTuple

from support.hostile_server import gzipped
from support.raw_responses import Headers, Raw, chunked, raw

ValidatorKind = Literal["strong", "weak", "date", "none"]
Framing = Literal["length", "chunked", "closed"]
Codings = tuple[str, ...]

SIZES = (40, 1000, 70_000, 140_000)
"""Some are longer than what a client reads at once."""

JUNK_LABELS = ("", "aws-chunked", "utf-8", "none, identity", " ,binary")
PAGE = b"\n<html>please log in</html>"


@dataclass(frozen=True)
class Version:
    """One version of the file.

    Attributes:
        number: Counts the versions of one host.
        body: What users want.
        stored: What the host has: the same, or packed.
        validator: The headers that prove the version, weak ones too.
        is_strong: True if they prove it to the byte.
    """

    number: int
    body: bytes = field(repr=False)
    stored: bytes = field(repr=False)
    validator: tuple[str, ...]
    is_strong: bool

    @property
    def is_packed(self) -> bool:
        return self.stored != self.body

    @property
    def if_range(self) -> str:
        return self.validator[0].partition(": ")[2] if self.is_strong else "nothing"

    @property
    def has_tag(self) -> bool:
        return self.is_strong and self.validator[0].startswith("ETag")


def version(number: int, size: int, kind: ValidatorKind, *, is_packed: bool) -> Version:
    """Make a version; no two have a byte in common but the first ones."""
    body = b"\0\0\0\x18ftypmp42" + random.Random(number).randbytes(size - 12)
    validators: dict[ValidatorKind, tuple[str, ...]] = {
        "strong": (f'ETag: "{number}"',),
        "weak": (f'ETag: W/"{number}"',),
        "date": (f"Last-Modified: Mon, 01 Jun 2026 00:00:{number % 60:02d} GMT", "Date: Mon, 01 Jun 2026 00:09:00 GMT"),
        "none": (),
    }
    return Version(
        number, body, gzipped(body) if is_packed else body, validators[kind], is_strong=kind in ("strong", "date")
    )


class Lie(NamedTuple):
    """How the host answers one request.

    Attributes:
        what: What kind of answer it is; see `LyingStorage`.
        at: Where the body is cut, or where a part starts or ends: a share of the file from 0 to 1.
        label: What it says of the coding: "honest", "missing", or a label that is no coding, or a wrong one.
        is_silent: True if it leaves out the validator.
        replaces: The size of a new version that is there from this answer on, 0 for the same size; None for no new version.
        kind: The validator of the new version.
        is_packed: True if the new version is packed.
        framing: How the end of the body is marked, where the answer leaves that open.
        blocks: The sizes of the blocks in which it arrives.
        is_reset: True if the connection is reset and not closed.
    """

    what: str
    at: float = 0.5
    label: str = "honest"
    is_silent: bool = False
    replaces: int | None = None
    kind: ValidatorKind = "strong"
    is_packed: bool = False
    framing: Framing = "length"
    blocks: tuple[int, ...] = ()
    is_reset: bool = False


HONEST = Lie("whole or rest")


WHATS = (
    "whole or rest",
    "cut",
    "short",
    "short and packed",
    "shrunk",
    "short part",
    "unasked part",
    "part under another status",
    "part with a malformed range",
    "rest as the whole",
    "too long part",
    "contradictory part",
    "part without a range",
    "part of whatever is there",
    "whole as a part",
    "416",
    "400 to a range",
    "page",
    "503",
)
TEMPTING = (
    "short",
    "short and packed",
    "shrunk",
    "rest as the whole",
    *("short part", "unasked part", "part under another status", "contradictory part", "part of whatever is there") * 3,
)
"""Lies that a client may fall for; the others are plain to see."""

PLACES = (0.3, 0.5, 0.6, 0.97)
BLOCKS: Sequence[tuple[int, ...]] = ((), (), (1,) * 300, (300, 4096, 65_536), (17, 2, 65_536))


def any_version(chance: random.Random, number: int) -> Version:
    """Make a version of any size and kind."""
    return version(number, chance.choice(SIZES), _any_kind(chance), is_packed=chance.random() < 0.25)


def any_lies(chance: random.Random) -> list[Lie]:
    """Make a script. Most begin with a body that breaks off: what follows can be a part, and has something to contradict."""
    lies = [_any_lie(chance) for _ in range(chance.choice((1, 1, 1, 2, 2, 4)))]
    if chance.random() < 0.15:
        return lies
    framing: Framing = chance.choice(("length", "length", "chunked"))
    return [Lie("cut", chance.choice((0.3, *PLACES)), framing=framing), *lies]


def _any_kind(chance: random.Random) -> ValidatorKind:
    return chance.choice(("strong", "strong", "strong", "strong", "date", "date", "weak", "none"))


def _any_lie(chance: random.Random) -> Lie:
    label = chance.choice(("honest",) * 20 + ("missing", "gzip", "br", *JUNK_LABELS))
    return Lie(
        chance.choice((*WHATS, *TEMPTING)),
        chance.choice(PLACES),
        label=label,
        is_silent=chance.random() < 0.2,
        replaces=chance.choice((0, 0, 0, *SIZES)) if chance.random() < 0.3 else None,
        kind=_any_kind(chance),
        is_packed=chance.random() < 0.25,
        framing=chance.choice(("length", "chunked", "closed")),
        blocks=chance.choice(BLOCKS),
        is_reset=chance.random() < 0.5
        and label not in ("gzip", "br"),  # it can take away the bytes that show what is true
    )


class _Known(NamedTuple):
    """The last version that the client heard of. Its validators are a tag, a date, or both, by their first characters."""

    validators: dict[str, str]
    codings: Codings
    total: int | None


class LyingStorage:
    """FunctionAdapter the requests of one download, one lie for each, and honestly from then on."""

    def __init__(self, first: Version, numbers: count[int], lies: Sequence[Lie]) -> None:
        self.versions = [first]
        self.requests: list[Headers] = []
        self._numbers = numbers
        self._lies = lies
        self._stated_lengths: dict[tuple[str, Codings], int] = {}
        self._known: _Known | None = None
        self._sent = 0

    @property
    def files(self) -> set[bytes]:
        """What may lie at the target: a whole version, as it is wanted or as it is stored."""
        return {one for version in self.versions for one in (version.body, version.stored)}

    def __call__(self, request_headers: Headers) -> Raw:
        number = len(self.requests)
        self.requests.append(request_headers)
        lie = self._lies[number] if number < len(self._lies) else HONEST
        if lie.replaces is not None:
            size = lie.replaces or len(self._now.body)
            self.versions.append(version(next(self._numbers), size, lie.kind, is_packed=lie.is_packed))
        methods: dict[str, Callable[[Lie, Headers], Raw]] = {
            "whole or rest": self._honest,
            "cut": self._cut,
            "short": self._short,
            "short and packed": self._short_and_packed,
            "shrunk": self._shrunk,
            "short part": self._short_part,
            "unasked part": self._other_part,
            "part under another status": self._part_under_another_status,
            "part with a malformed range": self._malformed_part,
            "rest as the whole": self._rest_as_the_whole,
            "too long part": self._too_long_part,
            "contradictory part": self._contradictory_part,
            "part without a range": self._part_without_a_range,
            "part of whatever is there": self._part_of_whatever,
            "whole as a part": self._whole_as_a_part,
            "416": self._nothing_there,
            "400 to a range": self._no_ranges,
            "page": self._page,
            "503": lambda lie, _: raw(503, "Content-Length: 0"),
        }
        return methods[lie.what](lie, request_headers)

    @property
    def _now(self) -> Version:
        return self.versions[-1]

    def _headers(self, lie: Lie, *, is_part: bool = False) -> list[str]:
        now = self._now
        labels = {"honest": "gzip" if now.is_packed else "", "missing": ""}
        label = labels.get(lie.label, lie.label)
        # Without its date, a part of another version could not be told: a 206 may leave it out.
        is_silent = lie.is_silent and (now.has_tag or not is_part)
        validator = () if is_silent else now.validator
        return ["Content-Type: video/mp4", *validator, *([f"Content-Encoding: {label}"] if label else [])]

    def _codings(self, lie: Lie) -> Codings:
        """What the body shows, whatever its label: a client cannot undo `br`, and the file is packed or begins as an MP4."""
        return ("gzip",) if self._now.is_packed and lie.label in ("honest", "gzip") else ()

    def _validator(self, lie: Lie) -> str | None:
        return self._now.if_range if self._now.is_strong and not lie.is_silent else None

    def _remember(self, lie: Lie, total: int | None) -> None:
        """Remember an honest statement about the whole."""
        codings, validator = self._codings(lie), self._validator(lie)
        if (
            total is not None
            and (validator, codings) not in self._stated_lengths
            and self._contradicts(lie, total, has_length=True)
        ):
            return  # a client cannot tell a file that was replaced by a shorter one from one that was cut off
        if total is None and not self._is_another(validator, codings):
            if self._known is not None:  # it takes no length back, and is the latest version
                self._known = self._known._replace(validators=self._validators_with(validator, codings))
            return
        self._known = _Known(self._validators_with(validator, codings), codings, total)
        if validator is not None and total is not None:
            self._stated_lengths[validator, codings] = total

    def _remember_another(self, lie: Lie) -> None:
        """A part or a 416 takes a length back only if its validator proves that it is about another version."""
        if self._known is not None and self._is_another(self._validator(lie), self._known.codings):
            self._known = None

    def _validators_with(self, validator: str | None, codings: Codings) -> dict[str, str]:
        known = {} if self._known is None or self._is_another(validator, codings) else self._known.validators
        return known if validator is None else {**known, validator[0]: validator}

    def _is_another(self, validator: str | None, codings: Codings) -> bool:
        known = self._known
        if known is None or known.codings != codings:
            return True
        return validator is not None and known.validators.get(validator[0], validator) != validator

    def _contradicts(self, lie: Lie, length: int, *, has_length: bool) -> bool:
        """True if an earlier honest statement contradicts a whole response that is too short."""
        codings, validator = self._codings(lie), self._validator(lie)
        if codings == ("gzip",) and self._now.is_packed:
            return True  # which ends before its own end
        if validator is not None and (validator, codings) in self._stated_lengths:
            return self._stated_lengths[validator, codings] != length
        if self._is_another(validator, codings) or self._known is None or self._known.total is None:
            return False
        if has_length:
            return length < self._known.total
        return length != self._known.total

    def _framed(self, lie: Lie, body: bytes, length: int | None, headers: Sequence[str]) -> Raw:
        how: dict[str, Any] = {"blocks": lie.blocks, "is_reset": lie.is_reset}
        if lie.framing == "chunked":
            return chunked(body, *headers, is_cut=length is not None and len(body) < length, **how)
        if lie.framing == "closed" and (length is None or len(body) == length):
            return raw(200, *headers, body=body, version="HTTP/1.0", **how)
        return raw(200, f"Content-Length: {len(body) if length is None else length}", *headers, body=body, **how)

    def _honest(self, lie: Lie, request_headers: Headers) -> Raw:
        start = _start(request_headers)
        if start is None or request_headers.get("If-Range") != self._now.if_range or start >= len(self._now.stored):
            return self._whole(lie)
        return self._part(lie, start, len(self._now.stored))

    def _whole(self, lie: Lie) -> Raw:
        stored = self._now.stored
        self._remember(lie, len(stored) if lie.framing == "length" else None)
        return self._framed(lie, stored, len(stored), self._headers(lie))

    def _part(self, lie: Lie, start: int, end: int, *, has_total: bool = True) -> Raw:
        stored = self._now.stored
        about = f"Content-Range: bytes {start}-{end - 1}/{len(stored) if has_total else '*'}"
        headers = [about, f"Content-Length: {end - start}", *self._headers(lie, is_part=True)]
        self._remember_another(lie)
        return raw(206, *headers, body=stored[start:end], blocks=lie.blocks, is_reset=lie.is_reset)

    def _cut(self, lie: Lie, request_headers: Headers) -> Raw:
        """The honest answer breaks off."""
        response = self._honest(
            lie._replace(framing="length" if lie.framing == "closed" else lie.framing), request_headers
        )
        head, _, body = response.data.partition(b"\r\n\r\n")
        self._sent = int(len(body) * lie.at)
        return Raw(head + b"\r\n\r\n" + body[: self._sent], lie.blocks, lie.is_reset)

    def _short(self, lie: Lie, request_headers: Headers) -> Raw:
        """A whole response without a length that ends in order, and too early."""
        body = self._now.stored[: _place(lie, self._now.stored)]
        if lie.framing == "length" or not self._contradicts(lie, len(body), has_length=False):
            return self._honest(lie, request_headers)
        self._remember(lie, None)
        return self._framed(lie, body, None, self._headers(lie))

    def _short_and_packed(self, lie: Lie, request_headers: Headers) -> Raw:
        """A proxy packs what it got of a file that broke off."""
        now, validator = self._now, self._validator(lie)
        body = now.stored[: _place(lie, now.stored)]
        packed = gzipped(body)
        stated = None if validator is None else self._stated_lengths.get((validator, ()))
        if stated is None and self._known is not None and not self._is_another(validator, ()):
            stated = self._known.total
            if stated is not None and stated < max(len(body), len(packed)):
                stated = None  # it may have been replaced by a longer one, of which nothing is known
        if now.is_packed or stated in (None, len(body), len(packed)):
            return self._honest(lie, request_headers)
        return self._framed(lie, packed, len(packed), self._headers(lie._replace(label="gzip")))

    def _shrunk(self, lie: Lie, request_headers: Headers) -> Raw:
        """A whole response that says too small a length."""
        body = self._now.stored[: _place(lie, self._now.stored)]
        if not self._contradicts(lie, len(body), has_length=True):
            return self._honest(lie, request_headers)
        return self._framed(lie._replace(framing="length"), body, None, self._headers(lie))

    def _short_part(self, lie: Lie, request_headers: Headers) -> Raw:
        """Less than what was asked for, and nothing about the length of the whole."""
        start = _start(request_headers)
        if start is None or request_headers.get("If-Range") != self._now.if_range or start >= len(self._now.stored):
            return self._whole(lie)
        end = start + max(1, int((len(self._now.stored) - start) * lie.at))
        return self._part(lie, start, end, has_total=lie.framing == "length")

    def _other_part(self, lie: Lie, request_headers: Headers) -> Raw:
        """Another part than was asked for, though no part may have been asked for."""
        start = _place(lie, self._now.stored)
        if "Range" not in request_headers and 0 < self._sent < len(self._now.stored):
            start = self._sent
        end = len(self._now.stored) if start != _start(request_headers) else start + 1
        return self._part(lie, start, end, has_total=lie.framing == "length")

    def _part_under_another_status(self, lie: Lie, request_headers: Headers) -> Raw:
        """What a proxy makes of a 206 that does not know it. Only `Content-Range` says that it is a part."""
        response = (self._short_part if "Range" in request_headers else self._other_part)(lie, request_headers)
        return replace(response, data=response.data.replace(b" 206 ", b" 200 ", 1))

    def _malformed_part(self, lie: Lie, request_headers: Headers) -> Raw:
        """What only a lenient reader takes for a range."""
        response = self._part_under_another_status(lie, request_headers)
        return replace(response, data=response.data.replace(b"Content-Range: bytes ", b"Content-Range: bytes=", 1))

    def _rest_as_the_whole(self, lie: Lie, request_headers: Headers) -> Raw:
        """A whole response with what was asked for alone. The rest of a packed file looks like a file that was never packed."""
        body = self._now.stored[_start(request_headers) or 0 :]
        is_tempting = "Range" in request_headers and bool(body) and not self._now.is_packed
        if not is_tempting or not self._contradicts(lie, len(body), has_length=True):
            return self._honest(lie, request_headers)
        return self._framed(lie._replace(framing="length"), body, None, self._headers(lie))

    def _no_ranges(self, lie: Lie, request_headers: Headers) -> Raw:
        return raw(400, "Content-Length: 0") if "Range" in request_headers else self._honest(lie, request_headers)

    def _too_long_part(self, lie: Lie, request_headers: Headers) -> Raw:
        """More bytes than its range says."""
        start, stored = _start(request_headers) or 1, self._now.stored
        end = start + max(1, int((len(stored) - start) * lie.at))
        headers = [f"Content-Range: bytes {start}-{end - 1}/{len(stored)}", *self._headers(lie, is_part=True)]
        self._remember_another(lie)
        return chunked(stored[start:end] + b"more", *headers, status=206, blocks=lie.blocks)

    def _contradictory_part(self, lie: Lie, request_headers: Headers) -> Raw:
        """A range and a length that contradict each other."""
        start, stored = _start(request_headers) or 1, self._now.stored
        end = _place(lie, stored)
        end += end == len(stored) - start
        headers = [f"Content-Range: bytes {start}-{len(stored) - 1}/{len(stored)}", f"Content-Length: {end}"]
        self._remember_another(lie)
        return raw(206, *headers, *self._headers(lie, is_part=True), body=stored[:end], blocks=lie.blocks)

    def _part_without_a_range(self, lie: Lie, request_headers: Headers) -> Raw:
        body = self._now.stored[_start(request_headers) or 0 :]
        self._remember_another(lie)
        return raw(206, f"Content-Length: {len(body)}", *self._headers(lie, is_part=True), body=body)

    def _part_of_whatever(self, lie: Lie, request_headers: Headers) -> Raw:
        """What was asked for, of the version that is there, though it is another one than the client has.

        An answer to a date need not repeat it (RFC 9110, section 15.3.7), so that a client sees only another validator in it.
        """
        start = _start(request_headers)
        is_by_date = not request_headers.get("If-Range", "").startswith('"')
        has_validator = self._now.is_strong and not lie.is_silent
        if start is None or start >= len(self._now.stored) or (is_by_date and not has_validator):
            return self._whole(lie)
        return self._part(lie, start, len(self._now.stored), has_total=lie.framing == "length")

    def _whole_as_a_part(self, lie: Lie, request_headers: Headers) -> Raw:
        # A client may reject it by its length, before the body shows that the label is wrong.
        if lie.label in ("gzip", "br"):
            return self._honest(lie, request_headers)
        self._remember(lie, len(self._now.stored))
        return self._part(lie, 0, len(self._now.stored))

    def _nothing_there(self, lie: Lie, _: Headers) -> Raw:
        self._remember_another(lie)
        return raw(416, f"Content-Range: bytes */{len(self._now.stored)}", "Content-Length: 0", *self._headers(lie))

    def _page(self, lie: Lie, _: Headers) -> Raw:
        return self._framed(lie, PAGE, None, self._headers(lie))


def _start(request_headers: Headers) -> int | None:
    return int(request_headers["Range"][len("bytes=") : -1]) if "Range" in request_headers else None


def _place(lie: Lie, body: bytes) -> int:
    """A place in the file: neither its beginning nor its end."""
    return min(max(int(len(body) * lie.at), 1), len(body) - 1)

"""What names mean inside an environment: those of AWS lead to its own gateway; others are the account's own.

Source: https://www.rfc-editor.org/rfc/rfc1035#section-4 (messages)
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

ADDRESS = "127.0.0.1"
SUFFIXES = (".amazonaws.com", ".on.aws", ".api.aws")
QUERY_LIMIT_BYTES = 512
TTL_S = 60

_HEAD = struct.Struct(">HHHHHH")
_QUESTION = struct.Struct(">HH")
_IS_ANSWER, _AUTHORITATIVE, _RECURSION_WANTED, _RECURSION_HERE = 0x8000, 0x0400, 0x0100, 0x0080
_OPCODE = 0x7800
_FORMAT_ERROR, _SERVER_FAILED, _NO_SUCH_NAME, _NOT_IMPLEMENTED = 1, 2, 3, 4
_CODES = {"NOERROR": 0, "SERVFAIL": _SERVER_FAILED, "NXDOMAIN": _NO_SUCH_NAME}
# More than a resource record set may have, and few enough for one datagram.
_ADDRESSES_LIMIT = 20
_INTERNET, _A, _ANY = 1, 1, 255
_QUESTIONS_NAME = 0xC00C  # A pointer to where the question's name begins.


@dataclass(frozen=True, slots=True)
class Found:
    """What a name that is not AWS's has: addresses of version 4. ``code`` is DNS's word for the outcome."""

    code: str = "NOERROR"
    addresses: tuple[str, ...] = ()
    ttl_s: int = TTL_S


LookUp = Callable[[str], Found | None]


def nobody(_name: str) -> Found | None:
    """There are no names but AWS's."""
    return None


def is_known(name: str) -> bool:
    """Whether a host name, in any case, is one that AWS answers at."""
    return name.lower().rstrip(".").endswith(SUFFIXES)


def answer(query: bytes, look_up: LookUp = nobody) -> bytes | None:
    """What to answer to a DNS message; None to what is no query at all.

    A known name has one address of version 4 and nothing else; of any other, ``look_up`` knows or it does
    not exist.
    """
    if len(query) < _HEAD.size:
        return None
    number, flags, questions, *_others = _HEAD.unpack_from(query)
    if flags & _IS_ANSWER:
        return None
    said = _IS_ANSWER | _AUTHORITATIVE | _RECURSION_HERE | flags & (_OPCODE | _RECURSION_WANTED)
    if flags & _OPCODE:
        return _HEAD.pack(number, said | _NOT_IMPLEMENTED, 0, 0, 0, 0)
    found = _read_name(query) if questions == 1 else None
    if found is None:
        return _HEAD.pack(number, said | _FORMAT_ERROR, 0, 0, 0, 0)
    name, end = found
    kind, of_class = _QUESTION.unpack_from(query, end)
    question = query[_HEAD.size : end + _QUESTION.size]
    has = Found(addresses=(ADDRESS,)) if is_known(name) else look_up(name)
    code = _NO_SUCH_NAME if has is None else _CODES.get(has.code, _SERVER_FAILED)
    if has is None or code or kind not in (_A, _ANY) or of_class != _INTERNET:
        return _HEAD.pack(number, said | code, 1, 0, 0, 0) + question
    head = struct.pack(">HHHIH", _QUESTIONS_NAME, _A, _INTERNET, has.ttl_s, 4)
    records = [head + socket.inet_aton(address) for address in has.addresses[:_ADDRESSES_LIMIT]]
    return _HEAD.pack(number, said, 1, len(records), 0, 0) + question + b"".join(records)


def _read_name(query: bytes) -> tuple[str, int] | None:
    """The name asked for and where it ends; None when it can't be read."""
    labels: list[bytes] = []
    at = _HEAD.size
    while at < len(query):
        length = query[at]
        at += 1
        if length == 0:
            whole = at + _QUESTION.size <= len(query)
            return (b".".join(labels).decode("latin-1"), at) if whole else None
        if length > 63 or at - _HEAD.size + length > 255:
            return None  # A pointer, which no question needs, or more than a name may have.
        labels.append(query[at : at + length])
        at += length
    return None

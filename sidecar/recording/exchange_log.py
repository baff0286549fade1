"""Exchanges with HTTP servers as lines of JSON, their secrets replaced."""

import base64
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from sidecar.http_record import Fields, HttpFailure, HttpRecord
from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.redaction.secret_patterns import is_cookie_key, is_secret_key

MAX_BODY: Final = 16 << 20
"""A longer body is left out."""
_CREDENTIAL_FIELDS: Final = frozenset({"authorization", "proxy-authorization", "webhook-signature"})


def exchange_line(record: HttpRecord, redactor: Redactor, note: dict[str, Any]) -> bytes:
    """One line of a recording; `note` is when and how long."""
    line: dict[str, Any] = {
        "method": record.method,
        "url": redactor.redact_text(record.url),
        "fields": _fields(record.fields, redactor),
        "body": _body(record.body, redactor, secret=False),
    }
    if record.failure:
        failure = record.failure
        line["failure"] = {
            "code": failure.code,
            "message": redactor.redact_text(failure.message),
            "retryable": failure.retryable,
            "status": record.status,
        }
    else:
        line["response"] = {
            "status": record.status,
            "fields": _fields(record.response_fields, redactor),
            "body": _body(record.response_body, redactor, secret=record.holds_secret),
        }
    return orjson.dumps({**line, "_log": note}) + b"\n"


class ExchangeFile:
    """The exchanges of a recording, in the order in which they ended. Memory holds only where each begins."""

    def __init__(self, path: Path) -> None:
        """Those that are in the file by now. Raises OSError."""
        self._path = path
        self._lines = array("Q")
        """Number of each line, and the byte at which it begins."""
        start = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip() and line.endswith(b"\n"):  # not blank, nor cut off as its process died
                    self._lines.extend((number, start))
                start += len(line)

    def __iter__(self) -> Iterator[HttpRecord]:
        """Reads all of them. Raises OSError, and ValueError for a bad line."""
        return (record for record, _ in self.with_notes())

    def __getitem__(self, number: int) -> HttpRecord:
        """Reads one. Raises OSError, and ValueError for a bad line."""
        with self._path.open("rb") as file:
            return self._read(file, 2 * number)[0]

    def with_notes(self) -> Iterator[tuple[HttpRecord, dict[str, Any]]]:
        """Reads all of them, each with when it ended (`at`) and how long it took (`ms`)."""
        with self._path.open("rb") as file:
            for index in range(0, len(self._lines), 2):
                record, members = self._read(file, index)
                yield record, dict(members.get("_log") or {})

    def _read(self, file: BinaryIO, index: int) -> tuple[HttpRecord, dict[str, Any]]:
        number, start = self._lines[index : index + 2]
        file.seek(start)
        try:
            members = orjson.loads(file.readline())
            return _exchange(members), members
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise ValueError(f"line {number} is no exchange: {type(wrong).__name__}") from None


def _exchange(line: dict[str, Any]) -> HttpRecord:
    if failure := line.get("failure"):
        return HttpRecord(
            method=line["method"],
            url=line["url"],
            fields=_pairs(line["fields"]),
            body=_bytes(line["body"]),
            status=failure["status"],
            failure=HttpFailure(failure["code"], failure["message"], failure["retryable"]),
        )
    response = line["response"]
    return HttpRecord(
        method=line["method"],
        url=line["url"],
        fields=_pairs(line["fields"]),
        body=_bytes(line["body"]),
        status=response["status"],
        response_fields=_pairs(response["fields"]),
        response_body=_bytes(response["body"]),
        omitted=int(response["body"].get("omitted", 0)),
    )


def _fields(fields: Fields, redactor: Redactor) -> list[list[str]]:
    return [[name, _field(name, value, redactor)] for name, value in fields]


def _field(name: str, value: str, redactor: Redactor) -> str:
    if name.lower() in _CREDENTIAL_FIELDS or is_secret_key(name) or is_cookie_key(name):
        return redactor.replace_secret(value, name)
    return redactor.redact_text(value)


def _body(body: bytes, redactor: Redactor, *, secret: bool) -> dict[str, Any]:
    if len(body) > MAX_BODY:
        return {"omitted": len(body)}
    try:
        return {"text": redactor.redact_body(body.decode(), secret=secret)}
    except UnicodeDecodeError:
        text = body.decode("latin-1")
        redacted = redactor.redact_body(text, secret=secret)
        return {"base64": base64.b64encode(redacted.encode("latin-1", "replace")).decode()}


def _pairs(fields: list[list[str]]) -> Fields:
    return tuple((name, value) for name, value in fields)


def _bytes(body: dict[str, Any]) -> bytes:
    if "omitted" in body:
        return b""
    return base64.b64decode(body["base64"]) if "base64" in body else str(body["text"]).encode()

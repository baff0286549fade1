"""Forms with a file. A form begins with its boundary, so one that was stored can be sent later."""

import hashlib


def encode(fields: dict[str, str], name: str, file: tuple[str, bytes, str]) -> bytes:
    """A form with text fields and one file: its own name, its content, its type."""
    # the same for the same form, as a replay wants it; no content holds a digest of itself
    boundary = hashlib.sha256(b"".join([*map(str.encode, fields.values()), file[1]])).hexdigest()
    import httpx  # late: most parents send no file

    headers = {"Content-Type": _type(boundary)}
    return httpx.Request("POST", "http://form", headers=headers, data=fields, files={name: file}).read()


def content_type_of(body: bytes) -> str:
    """The header that belongs to a form of ours."""
    return _type(body[2 : body.index(b"\r\n")].decode())


def _type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"

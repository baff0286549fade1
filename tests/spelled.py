"""How others may write down a value, by the name of the way."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus


def in_json(text: str) -> str:
    """As it stands between the quotes of JSON."""
    return json.dumps(text)[1:-1]


def lower_case(text: str) -> str:
    """With lower-case escapes of a URL."""
    return re.sub("%..", lambda found: found[0].lower(), text)


def in_utf8(text: str) -> str:
    """Returns the text escaped for JSON, with letters of any language unescaped."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def in_javascript(text: str) -> str:
    """As a script may write it, with numbers for all letters of Latin-1."""
    return "".join(f"\\x{ord(each):02x}" if ord(each) < 256 else each for each in text)


def units(text: str) -> list[int]:
    """What it is in UTF-16."""
    data = text.encode("utf-16-be")
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data), 2)]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "json": in_json,
    "json in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in upper case": lambda text: re.sub(r"\\u(....)", lambda found: "\\u" + found[1].upper(), in_json(text)),
    "json twice": lambda text: in_json(in_json(text)),
    "json three times": lambda text: in_json(in_json(in_json(text))),
    "json twice in UTF-8": lambda text: in_utf8(in_utf8(text)),
    "json of a page": lambda text: in_json(html.escape(text)),
    "json of a URL": lambda text: in_json(quote(text)),
    "json of JavaScript": lambda text: in_json(in_javascript(text)),
    "URL of json": lambda text: quote(in_json(text)),
    "URL of json twice": lambda text: quote(in_json(in_json(text))),
    "page of json": lambda text: html.escape(in_json(text)),
    "page of a URL": lambda text: html.escape(quote(text)),
    "json with slashes": lambda text: in_json(text).replace("/", "\\/"),
    "JavaScript": in_javascript,
    "JavaScript in braces": lambda text: "".join(f"\\u{{{ord(each):x}}}" for each in text),
    "UTF-16": lambda text: "".join(f"\\u{unit:04x}" for unit in units(text)),
    "escape()": lambda text: "".join(f"%u{unit:04X}" for unit in units(text)),
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "URL twice": lambda text: quote(quote(text)),
    "URL three times": lambda text: quote(quote(quote(text))),
    "form twice": lambda text: quote_plus(quote_plus(text)),
    "form": quote_plus,
    "URL in lower case": lambda text: lower_case(quote(text)),
    "every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "page": html.escape,
    "page twice": lambda text: html.escape(html.escape(text)),
    "page, by numbers, twice": lambda text: html.escape("".join(f"&#{ord(each)};" for each in text)),
    "page, by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "page, by hexadecimal numbers": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "digits": lambda text: text.encode().hex(),
    "digits in upper case": lambda text: text.encode().hex().upper(),
    "SHA-512": lambda text: hashlib.sha512(text.encode()).hexdigest(),
    "SHA-512 in upper case": lambda text: hashlib.sha512(text.encode()).hexdigest().upper(),
}
IN_BASE64: dict[str, Callable[[bytes], bytes]] = {"base64": base64.b64encode, "base64url": base64.urlsafe_b64encode}
"""Encodings in which the value shares letters with its neighbours."""
PACKED = {"digits", "digits in upper case", "SHA-512", "SHA-512 in upper case"}
"""Of these, the quick test of a logged line does not know."""

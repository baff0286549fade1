"""How others may write down a value, by the name of the way."""

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


SPELLINGS: dict[str, Callable[[str], str]] = {
    "json": in_json,
    "json in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in upper case": lambda text: re.sub(r"\\u(....)", lambda found: "\\u" + found[1].upper(), in_json(text)),
    "json twice": lambda text: in_json(in_json(text)),
    "json of a page": lambda text: in_json(html.escape(text)),
    "json of a URL": lambda text: in_json(quote(text)),
    "json with slashes": lambda text: in_json(text).replace("/", "\\/"),
    "JavaScript": lambda text: "".join(f"\\x{ord(each):02x}" if ord(each) < 256 else each for each in text),
    "URL": lambda text: quote(text, safe=""),
    "URL path": quote,
    "form": quote_plus,
    "URL in lower case": lambda text: lower_case(quote(text)),
    "every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "page": html.escape,
    "page, by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "page, by hexadecimal numbers": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "SHA-512": lambda text: hashlib.sha512(text.encode()).hexdigest(),
    "SHA-512 in upper case": lambda text: hashlib.sha512(text.encode()).hexdigest().upper(),
}

"""The encodings in which a secret may appear in texts."""

import re
from typing import Final

MIN_SECRET_LENGTH: Final = 4
"""Shorter values occur in too many words: replacing them would leave nothing legible, and three characters can be
guessed anyway."""
_MIN_ENCODED: Final = 8


def encodings(value: str) -> tuple[str, ...]:
    """The value, plain and as in URLs, HTML or JSON (once or twice), SHA-512, hex and base64; longest first."""
    import base64  # late: most sessions need none of these before their first reply
    import hashlib
    import html
    import json
    from urllib.parse import quote, quote_plus

    raw = value.encode(errors="surrogatepass")
    digest = hashlib.sha512(raw).hexdigest()
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    encoded |= {quote(each) for each in encoded}
    by_numbers = {"".join(f"&#{style % ord(each)};" for each in value) for style in ("%d", "x%x", "x%X")}
    plain = {value, html.escape(value), html.escape(html.escape(value))} | encoded | by_numbers
    forms = plain | {re.sub("%..", lambda m: m[0].lower(), each) for each in encoded}
    for escapes in (True, False):
        once = {json.dumps(each, ensure_ascii=escapes)[1:-1] for each in plain}
        forms |= once | {json.dumps(each, ensure_ascii=escapes)[1:-1] for each in once}
    forms |= {value.replace("/", r"\/"), digest, digest.upper(), raw.hex(), raw.hex().upper()}
    for offset, start in enumerate((0, 2, 3)):  # within a longer text, base64 of the same bytes has three forms
        face = base64.b64encode(bytes(offset) + raw)[start : (offset + len(raw)) * 8 // 6].decode()
        if len(face) >= _MIN_ENCODED:
            forms |= {face, face.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms, key=len, reverse=True))

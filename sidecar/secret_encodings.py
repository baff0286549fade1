"""How a secret may be written down by others: one list for all who take secrets out of texts."""

import re
from typing import Final

MIN_SECRET_LENGTH: Final = 4
"""Shorter values stand in so many innocent words that replacing them would leave nothing legible, and who can guess
three characters needs no text of ours."""
_MIN_ENCODED: Final = 8


def encodings(value: str) -> tuple[str, ...]:
    """The value itself, as in a URL, a page or JSON, once or twice, as SHA-512, digits and in base64; longest first."""
    import base64  # late, these five: most sessions never get here before their first reply
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
    for offset, start in enumerate((0, 2, 3)):  # inside a longer text, base64 of the same bytes has three faces
        face = base64.b64encode(bytes(offset) + raw)[start : (offset + len(raw)) * 8 // 6].decode()
        if len(face) >= _MIN_ENCODED:
            forms |= {face, face.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms, key=len, reverse=True))

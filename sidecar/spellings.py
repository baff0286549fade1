"""How a secret may be written down by others: one list for all who take secrets out of texts."""

import re
from typing import Final

MIN_LENGTH: Final = 4
"""Shorter values stand in so many innocent words that replacing them would leave nothing legible, and who can guess
three characters needs no text of ours."""
_MIN_ENCODED: Final = 8


def spellings(value: str) -> tuple[str, ...]:
    """The value itself, as in a URL, a page or JSON, as SHA-512 and in base64; the longest first."""
    import base64  # late, these five: most sessions never get here before their first reply
    import hashlib
    import html
    import json
    from urllib.parse import quote, quote_plus

    raw = value.encode(errors="surrogatepass")
    digest = hashlib.sha512(raw).hexdigest()
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    plain = {value, html.escape(value)} | encoded
    forms = plain | {re.sub("%..", lambda m: m[0].lower(), each) for each in encoded}
    forms |= {json.dumps(each, ensure_ascii=escapes)[1:-1] for each in plain for escapes in (True, False)}
    forms |= {value.replace("/", r"\/"), digest, digest.upper()}
    for offset, start in enumerate((0, 2, 3)):  # inside a longer text, base64 of the same bytes has three faces
        face = base64.b64encode(bytes(offset) + raw)[start : (offset + len(raw)) * 8 // 6].decode()
        if len(face) >= _MIN_ENCODED:
            forms |= {face, face.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms, key=len, reverse=True))

"""The words that SPDY/3 presets its header compression with; both ends must have the very same bytes.

Pure. In: nothing. Out: `DICTIONARY`, whose Adler-32 checksum begins every compressed header block.
"""

from __future__ import annotations

# Likely names and values first, each as a header block has them: its length in four bytes, then the word.
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""

# Then pieces of values, without lengths; what occurs more often stands nearer the end.
_PIECES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized",
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT",
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,",
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
)


def _block(word: str) -> bytes:
    text = word.replace("_", " ").encode()
    return len(text).to_bytes(4, "big") + text


DICTIONARY = b"".join(map(_block, _WORDS.split())) + "".join(_PIECES).encode()

"""Links in a proxied web page: those to the server's own paths must lead through the proxy. Pure.

Source: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/ and upstream's proxy
transport, whose table of attributes this is.
"""

from __future__ import annotations

import re
from html import escape, unescape
from urllib.parse import urlsplit, urlunsplit

_ATTRIBUTES = {
    "a": "href",
    "applet": "codebase",
    "area": "href",
    "audio": "src",
    "base": "href",
    "blockquote": "cite",
    "body": "background",
    "button": "formaction",
    "command": "icon",
    "del": "cite",
    "embed": "src",
    "form": "action",
    "frame": "longdesc src",
    "head": "profile",
    "html": "manifest",
    "iframe": "longdesc src",
    "img": "longdesc src usemap",
    "input": "src usemap formaction",
    "ins": "cite",
    "link": "href",
    "object": "classid codebase data usemap",
    "q": "cite",
    "script": "src",
    "source": "src",
    "video": "poster src",
}
_LINKS = {tag: frozenset(names.split()) for tag, names in _ATTRIBUTES.items()}
#: Elements whose content is text up to their end tag, whatever it looks like.
_RAW = frozenset({"script", "style", "textarea", "title"})
_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
#: Begins only where a word does, and never gives back what it took: a page must not cost more than its length.
_ATTRIBUTE = re.compile(r"(?<![^\s=/\"'>])([^\s=/\"'>]++)\s*+=\s*+(\"[^\"]*\"|'[^']*'|[^\s\"'>]++)")
_ENDS = {tag: re.compile(f"</{tag}", re.IGNORECASE) for tag in _RAW}
#: The longest unfinished tag that is waited for.
_PATIENCE = 16 << 10


def through(url: str, prefix: str, hosts: frozenset[str]) -> str:
    """``url`` as it must be for a client of the proxy at ``prefix``. ``hosts`` are the server's own names: links to
    others, and relative ones, stay as they are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if (parts.netloc and parts.netloc not in hosts) or not parts.path.startswith("/"):
        return url
    path = parts.path if parts.path.startswith(prefix) else prefix.rstrip("/") + parts.path
    return urlunsplit(("", "", path, parts.query, parts.fragment))


class LinkRewriter:
    """Takes a page piece by piece, as Latin-1 text so that no byte is lost, and gives it back with its links changed.

    text --<script>--> raw text --</script>--> text
    """

    def __init__(self, prefix: str, hosts: frozenset[str]) -> None:
        self._prefix, self._hosts = prefix, hosts
        self._rest, self._raw = "", ""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """What can be sent on by now; everything that is left with ``last``."""
        text, done, at = self._rest + data.decode("latin-1"), [], 0
        while at < len(text):
            end = self._skip_raw(text, at) if self._raw else self._next_tag(text, at)
            if end < 0:
                break
            at, piece = self._take(text, at, end)
            done.append(piece)
        if last or len(text) - at > _PATIENCE:
            done.append(text[at:])
            at = len(text)
        self._rest = text[at:]
        return "".join(done).encode("latin-1")

    def _next_tag(self, text: str, at: int) -> int:
        """Where text without a tag ends, or a tag that begins here; -1 to wait for more."""
        if text[at] != "<":
            found = text.find("<", at)
            return found if found >= 0 else len(text)
        if text.startswith("<!--", at):
            found = text.find("-->", at)
            return found + 3 if found >= 0 else -1
        found_tag = _TAG.match(text, at)
        if found_tag:
            return found_tag.end()
        return at + 1 if at + 1 < len(text) and not text[at + 1].isalpha() and text[at + 1] != "!" else -1

    def _skip_raw(self, text: str, at: int) -> int:
        found = _ENDS[self._raw].search(text, at)
        if found is None:
            return -1
        self._raw = ""
        return found.start()

    def _take(self, text: str, at: int, end: int) -> tuple[int, str]:
        piece = text[at:end]
        tag = _TAG.fullmatch(piece)
        if tag is None:
            return end, piece
        name = tag[1].lower()
        if name in _RAW and not tag[2].rstrip().endswith("/"):
            self._raw = name
        names = _LINKS.get(name)
        return end, f"<{tag[1]}{self._rewritten(tag[2], names)}>" if names else piece

    def _rewritten(self, attributes: str, names: frozenset[str]) -> str:
        def change(match: re.Match[str]) -> str:
            if match[1].lower() not in names:
                return match[0]
            value = match[2][1:-1] if match[2][0] in "\"'" else match[2]
            new = through(unescape(value), self._prefix, self._hosts)
            return match[0] if new == unescape(value) else f'{match[1]}="{escape(new)}"'

        return _ATTRIBUTE.sub(change, attributes)

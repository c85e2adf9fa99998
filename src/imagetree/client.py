"""A client of a site in Python: synsets, images, downloads that go on where they stopped.

    with Client("http://localhost:8000") as client:
        for image in client.iter_images("n02084071", subtree=True):
            print(image["name"])

Answers are the site's own JSON; its page /docs says what is in each. Nothing but the standard
library is needed.
"""

from __future__ import annotations

import glob
import hashlib
import http.client
import json
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from imagetree import __version__
from imagetree.errors import ImagetreeError
from imagetree.files import Closable, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT_SECONDS = 30.0
RETRIES = 4
MAX_WAIT_SECONDS = 60.0
"""Longest pause before a request is sent again, whatever Retry-After says."""

_RETRIED = {429, 503}
_BROKEN = (http.client.HTTPException, OSError)
_MAX_TEXT_BYTES = 64 << 20
_MAX_REFUSAL_BYTES = 1 << 16
_MAX_REASON = 300
_PIECE_BYTES = 1 << 20
_HINTS = {
    401: "make a token on the page of your account: Client(url, token)",
    403: "the account of the token has not the role for it, or has not accepted the terms",
    404: "Client.search finds the wnid of a word",
    410: "it has changed meanwhile: call it again",
}


class RefusedError(ImagetreeError):
    """The site answered that it will not.

    Args:
        message: which address, and the site's reason.
        status: of the answer, as 404.
        hint: how to go on.
    """

    def __init__(self, message: str, status: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Client(Closable):
    """One connection to a site; not for several threads at once.

    Args:
        url: of the site, as `https://images.example.org`.
        token: of an account; what it may do, the client may.
        timeout: seconds without a byte after which a request has failed.
        retries: how often a request is sent again that was broken off, or answered by 429 or 503.

    Raises:
        ImagetreeError: the URL is no address of a site.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise ImagetreeError(f"{url!r}: no address of a site (expected https://NAME)")
        self.url = url.rstrip("/")
        self._retries = retries
        self._headers = {"Accept": "application/json", "User-Agent": f"imagetree/{__version__}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        is_secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, query: Mapping[str, str | bool] | None = None) -> dict[str, Any]:
        """The JSON twin at any address of the site, as `/votes.json`.

        Args:
            path: of it; the site's page /docs lists them.
            query: its parameters.

        Raises:
            RefusedError: the site will not answer.
            ImagetreeError: it does not answer, or not with a JSON object.
        """
        values = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in (query or {}).items()
        }
        try:
            found = json.loads(self._text(f"{path}?{urlencode(values)}"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ImagetreeError(
                f"{self.url}{path}: no JSON object (expected the answer of an imagetree site)",
                hint="is another program at this address?",
            )
        return found

    def search(self, words: str, *, with_images: bool = False) -> list[dict[str, Any]]:
        """Synsets of some words, the best first.

        Args:
            words: any noun of WordNet, or a wnid.
            with_images: those with images of their own alone.
        """
        found = self.get("/search.json", {"q": words, "images": with_images})
        results: list[dict[str, Any]] = found["results"]
        return results

    def synset(self, wnid: str) -> dict[str, Any]:
        """A synset: its words, figures, ways to the root and children.

        Raises:
            RefusedError: no noun of WordNet 3.0 has the wnid.
        """
        return self.get(f"/synset/{quote(wnid, safe='')}.json", {"subtree": False})

    def children(self, wnid: str) -> list[dict[str, Any]]:
        """The synsets right below one that have images at or below them, the largest first."""
        children: list[dict[str, Any]] = self.synset(wnid)["children"]
        return children

    def images(self, wnid: str, *, subtree: bool = False, after: str = "") -> dict[str, Any]:
        """A page of a synset's images.

        Args:
            wnid: the synset.
            subtree: those of the synsets below it too.
            after: `next` of the page before; empty for the first page.

        Returns:
            `images`, and `next`: None on the last page.
        """
        query = {"subtree": subtree} | ({"after": after} if after else {})
        page = self.get(f"/synset/{quote(wnid, safe='')}.json", query)
        return {"images": page["images"], "next": page["next"]}

    def iter_images(self, wnid: str, *, subtree: bool = False) -> Iterator[dict[str, Any]]:
        """All images of a synset or its subtree, page by page; each one once."""
        after: str | None = ""
        while after is not None:
            page = self.images(wnid, subtree=subtree, after=after)
            yield from page["images"]
            after = page["next"]

    def image(self, key: str) -> dict[str, Any]:
        """An image by its key: its label, size, source and neighbours."""
        return self.get(f"/image/{quote(key)}.json")

    def news(self) -> list[dict[str, Any]]:
        """The newest announcements."""
        rows: list[dict[str, Any]] = self.get("/news.json")["news"]
        return rows

    def download(self, wnid: str, path: Path | str, *, subtree: bool = False) -> str:
        """Save a synset or a subtree as a tar, and hold it against the site's checksum.

        What has arrived is kept beside it, in a file that ends in `.part`, until it is whole:
        called again after a failure, the download goes on where it stopped. Where the archive has
        changed meanwhile it begins anew, so that bytes of two states are never joined.

        Args:
            wnid: the synset.
            path: of the archive.
            subtree: all below it too.

        Returns:
            Its SHA-256, 64 hexadecimal digits.

        Raises:
            RefusedError: there are no images of it, or downloading is not allowed.
            ImagetreeError: it cannot be written, or is not what the site says that it sent.
        """
        path = Path(path)
        link = self.get(f"/download/{quote(wnid, safe='')}/link.json", {"subtree": subtree})
        part = _part_of(path, link["etag"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_other_parts(path, part)
            self._fetch(link, part)
            digest = sha256_of(part)
            wanted = self._text(_path_of(link["checksum_url"])).split()[:1]
            if [digest] != wanted:
                part.unlink()
                raise ImagetreeError(
                    f"{path}: not what was sent (expected SHA-256 {wanted}, got {digest})",
                    hint="download it again",
                )
            part.replace(path)
        except OSError as error:
            raise ImagetreeError(
                f"{path}: cannot be written ({error.strerror or error})",
                hint="free some space or name another folder, and call it again",
            ) from error
        return digest

    def _fetch(self, link: Mapping[str, Any], part: Path) -> None:
        """Add to a part what is missing of an archive.

        Raises:
            ImagetreeError: it was broken off again and again.
        """
        with part.open("ab") as file:
            for attempt in range(self._retries + 1):
                have = file.tell()
                if have >= link["size"]:
                    break
                if attempt:
                    _pause(attempt, None)
                headers = {"Range": f"bytes={have}-", "If-Range": f'"{link["etag"]}"'}
                answer = self._open(_path_of(link["url"]), headers if have else {})
                if answer.status != 206:
                    file.truncate(0)
                self._copy(answer, file)
            file.flush()
            os.fsync(file.fileno())
            have = file.tell()
        if have != link["size"]:
            raise ImagetreeError(
                f"{self.url}: broken off (expected {link['size']} bytes, got {have})",
                hint="call it again: it goes on where it stopped",
            )

    def _copy(self, answer: http.client.HTTPResponse, file: IO[bytes]) -> None:
        """Add what comes of an answer, until its end or until it is broken off."""
        while True:
            try:
                piece = answer.read(_PIECE_BYTES)
            except _BROKEN as error:
                # What was read before the connection broke is good; the next request asks for more.
                piece = getattr(error, "partial", b"")
                file.write(piece)
                self._connection.close()
                return
            if not piece:
                return
            file.write(piece)

    def _text(self, path: str) -> str:
        """The text at an address.

        Raises:
            ImagetreeError: it is broken off, or longer than any of a site's.
        """
        answer = self._open(path, {})
        try:
            data = answer.read(_MAX_TEXT_BYTES + 1)
        except _BROKEN as error:
            self._connection.close()
            raise ImagetreeError(f"{self.url}: an answer was broken off ({error})") from error
        if len(data) <= _MAX_TEXT_BYTES and answer.length:
            raise ImagetreeError(f"{self.url}: an answer was broken off ({len(data)} bytes came)")
        if len(data) > _MAX_TEXT_BYTES:
            self._connection.close()
            raise ImagetreeError(f"{self.url}: an answer has more than {_MAX_TEXT_BYTES} bytes")
        return data.decode("utf-8", "replace")

    def _open(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer to a request, which is sent again while the site is busy.

        Raises:
            RefusedError: the site answered with another status than 200 or 206.
            ImagetreeError: it does not answer.
        """
        attempt = 0
        while True:
            answer = self._ask(path, headers, is_last=attempt == self._retries)
            if answer is not None and answer.status in {200, 206}:
                return answer
            wait = None
            if answer is not None:
                status, wait, reason = answer.status, answer.headers["Retry-After"], _reason(answer)
                self._connection.close()  # whatever else it sends is not read
                if status not in _RETRIED or attempt == self._retries:
                    shown = f"{self.url}{path.partition('?')[0]}: {status}: {reason}"
                    raise RefusedError(shown, status, hint=_HINTS.get(status))
            attempt += 1
            _pause(attempt, wait)

    def _ask(
        self, path: str, headers: Mapping[str, str], *, is_last: bool
    ) -> http.client.HTTPResponse | None:
        """Send a request once; None where no answer came and it may be sent again."""
        try:
            self._connection.request("GET", path, headers={**self._headers, **headers})
            return self._connection.getresponse()
        except _BROKEN as error:
            self._connection.close()
            if is_last:
                raise ImagetreeError(
                    f"{self.url}: does not answer ({error or type(error).__name__})",
                    hint="is it running? imagetree web serve",
                ) from error
            return None


def _reason(answer: http.client.HTTPResponse) -> str:
    """Why the site refuses, in its own words: of JSON the `detail`, else the first line."""
    try:
        text = answer.read(_MAX_REFUSAL_BYTES).decode("utf-8", "replace")
    except _BROKEN:
        return answer.reason
    try:
        found = json.loads(text)
    except ValueError:
        found = text.partition("\n")[0]
    detail = found.get("detail", answer.reason) if isinstance(found, dict) else found
    shown = detail if isinstance(detail, str) else json.dumps(detail)
    is_page = shown.lstrip().startswith("<")
    return answer.reason if is_page else shown[:_MAX_REASON]


def _pause(attempt: int, asked: str | None) -> None:
    """Wait before the next attempt: as long as the site asks, else 0.25 s, 0.5 s, 1 s, ..."""
    is_number = asked is not None and asked.isascii() and asked.isdigit() and len(asked) < 6
    seconds = float(asked) if asked is not None and is_number else 0.125 * 2**attempt
    time.sleep(min(seconds, MAX_WAIT_SECONDS))


def _path_of(url: str) -> str:
    """Path and query of a link, whatever host it names: a token is sent to its own site alone."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def _part_of(path: Path, etag: str) -> Path:
    """What has arrived of an archive in one state."""
    state = hashlib.sha256(etag.encode()).hexdigest()[:16]
    return path.with_name(f"{path.name}.{state}.part")


def _remove_other_parts(path: Path, part: Path) -> None:
    """Remove what arrived of other states of the archive."""
    digit = "[0-9a-f]"
    for other in path.parent.glob(f"{glob.escape(path.name)}.{digit * 16}.part"):
        if other != part:
            other.unlink()

"""The pages of downloads, and a synset or subtree as a tar that can be resumed at any byte.

The way of a download: the page of a synset, a link that is good for a day and for the archive as
it is now, the archive. Once an image of it is removed the link ends (410), so that what was
downloaded before is never continued with other bytes.
"""

from __future__ import annotations

import re
import shlex
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from imagetree.database import ImageReader
from imagetree.database.counting import current_counts
from imagetree.errors import DatabaseError
from imagetree.export.selection import Selection
from imagetree.web import text_api
from imagetree.web.signing import LINK_SECONDS, Grant, LinkSigner, load_secret, secret_folder
from imagetree.web.tars import Plans, Slots, TarResponse, parse_range, too_many
from imagetree.web.threads import run_slowly
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from imagetree.export.archive import TarPlan
    from imagetree.web.gate import Gate
    from imagetree.web.site import Site

_NAME = re.compile(r"(n[0-9]{8})(_subtree)?")
_TEXT_API = {
    "imagenet.synset.geturls": "URLs of its images",
    "imagenet.synset.geturls.getmapping": "names and URLs of its images",
    "wordnet.synset.getwords": "its words",
    "wordnet.structure.hyponym": "its hyponyms; with &full=1 all below it",
}
"""Answers about one synset, below /api/text/, and what each gives."""

_Key = Annotated[str, Query(max_length=1000, description="of the link")]
_Subtree = Annotated[bool, Query(description="with all synsets below it")]


class Archive(NamedTuple):
    """What can be downloaded of a synset.

    Args:
        wnid: the synset.
        subtree: with all below it.
    """

    wnid: str
    subtree: bool

    @property
    def name(self) -> str:
        """Of its file; safe in a header and in a path."""
        return f"{self.wnid}{'_subtree' if self.subtree else ''}.tar"

    @property
    def path(self) -> str:
        """Of its address."""
        return f"/download/{self.name}"

    @property
    def selection(self) -> Selection:
        """Its images."""
        return Selection((self.wnid,), subtree=self.subtree)


def parse_archive(name: str) -> Archive | None:
    """The archive of a file name without its ending; None where there is none.

    >>> parse_archive("n02084071_subtree"), parse_archive("../n02084071")
    (Archive(wnid='n02084071', subtree=True), None)
    """
    found = _NAME.fullmatch(name)
    return Archive(found[1], bool(found[2])) if found and found[1] in load_nouns() else None


@dataclass(frozen=True)
class _Downloads:
    """What the answers are made from."""

    site: Site
    plans: Plans
    signer: LinkSigner
    slots: Slots

    @property
    def gate(self) -> Gate:
        """Who may download."""
        return self.site.gate

    def holder(self, request: Request, account: str = "") -> str:
        """Whose slots a request takes."""
        address = request.client.host if request.client else ""
        return f"account {account}" if account else f"address {address}"

    def synset(self, request: Request, wnid: str) -> dict[str, Any]:
        """What can be downloaded of a synset."""
        own, whole = (self._offer(Archive(wnid, subtree)) for subtree in (False, True))
        has_more = whole["num_images"] > own["num_images"]
        return {
            "wnid": wnid,
            "words": load_nouns().synset(wnid).words,
            "archives": [own] * bool(own["num_images"]) + [whole] * has_more,
            "lists": [
                {"path": f"/api/text/{name}?wnid={wnid}", "about": about}
                for name, about in _TEXT_API.items()
                if own["num_images"] or not name.startswith("imagenet.")
            ],
            "may_download": self.gate.may_download(self.gate.account_of(request)),
            "terms_path": self.gate.terms_path,
        }

    def _offer(self, archive: Archive) -> dict[str, Any]:
        database = self.site.database
        with database.reading() as connection:
            within = current_counts(database, connection)
        within = within.of([archive.wnid], subtree=archive.subtree)
        return {
            "name": archive.name,
            "subtree": archive.subtree,
            "num_images": int(within.num_images.sum()),
            "num_synsets": len(within.synsets),
            "num_bytes": int(within.bytes.sum()),
        }

    def link(self, request: Request, archive: Archive) -> dict[str, Any]:
        """A link to an archive as it is now.

        Raises:
            HTTPException: downloading is not allowed, or there is nothing to download.
        """
        account = self.gate.account_of(request)
        if not self.gate.may_download(account):
            raise HTTPException(403, "downloading needs an account that has accepted the terms")
        with self.slots.held(self.holder(request, account)) as is_taken:
            if not is_taken:
                raise HTTPException(429, "too many downloads", {"Retry-After": "30"})
            plan = self.plan(archive)
        grant = Grant(account, plan.etag, int(time.time()) + LINK_SECONDS)
        key = self.signer.sign(archive.path, grant)
        site = str(request.base_url).rstrip("/")
        url = f"{site}{archive.path}?key={key}"
        checksum_url = f"{site}{archive.path}.sha256?key={key}"
        return {
            "wnid": archive.wnid,
            "words": load_nouns().synset(archive.wnid).words,
            "name": archive.name,
            "size": plan.size,
            "num_images": sum(part.num_images for part in plan.parts),
            "num_synsets": len(plan.parts),
            "num_set_aside": len(plan.set_aside),
            "etag": plan.etag,
            "url": url,
            "checksum_url": checksum_url,
            "expires": datetime.fromtimestamp(grant.expires, UTC).isoformat(),
            "commands": [
                f"curl -C - -o {archive.name} {shlex.quote(url)}",
                f"curl {shlex.quote(checksum_url)} | sha256sum -c",
            ],
        }

    def plan(self, archive: Archive) -> TarPlan:
        """The archive as it is now.

        Raises:
            HTTPException: there is nothing to download, or its source is not there.
        """
        if not self._offer(archive)["num_images"]:
            raise HTTPException(404, "no images of this synset")
        try:
            return self.plans.plan(archive.selection)
        except DatabaseError as error:  # names a path of this machine: not for visitors
            raise HTTPException(503, "a source of these images is not there") from error

    def opened(self, request: Request, name: str, key: str) -> tuple[Archive, TarPlan, str]:
        """The archive that a link opens, and the account that it was made for.

        Raises:
            HTTPException: it opens nothing.
        """
        archive = parse_archive(name)
        if archive is None:
            raise HTTPException(404, "there is no such archive")
        grant = self.signer.check(archive.path, key)
        again = f"get a new one at /download/{archive.wnid}"
        if grant is None:
            raise HTTPException(403, f"this link has expired or is not ours: {again}")
        account = self.gate.account_of(request)
        if account not in {"", grant.account} or not self.gate.may_download(grant.account):
            raise HTTPException(403, f"this link is not for this account: {again}")
        plan = self.plan(archive)
        if plan.etag != grant.etag:
            raise HTTPException(410, f"the archive has changed since this link was made: {again}")
        return archive, plan, self.holder(request, grant.account)

    def tar(self, request: Request, name: str, key: str) -> Response:
        """An archive, or a part of it."""
        archive, plan, holder = self.opened(request, name, key)
        etag = f'"{plan.etag}"'
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'attachment; filename="{archive.name}"',
            "ETag": etag,
        }
        if _names(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        is_same = request.headers.get("if-range", etag) == etag
        try:
            part = parse_range(request.headers.get("range") if is_same else None, plan.size)
        except ValueError:
            return PlainTextResponse(
                f"{archive.name} has {plan.size} bytes\n",
                416,
                {**headers, "Content-Range": f"bytes */{plan.size}"},
            )
        headers["Content-Length"] = str(plan.size)
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/x-tar")
        if part is not None:
            headers["Content-Length"] = str(part.stop - part.start)
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{plan.size}"
        parts = self.plans.parts(plan, part)
        status = 200 if part is None else 206
        return TarResponse(parts, headers, status, slots=self.slots, holder=holder)

    def checksum(self, request: Request, name: str, key: str) -> Response:
        """The checksum of an archive as `sha256sum -c` reads it."""
        archive, plan, holder = self.opened(request, name, key)
        with self.slots.held(holder) as is_taken:
            if not is_taken:
                return too_many()
            try:
                digest = self.plans.checksum(plan)
            except DatabaseError as error:
                raise HTTPException(503, "an image of this archive cannot be read") from error
        return PlainTextResponse(f"{digest}  {archive.name}\n")


def create_router(site: Site) -> APIRouter:
    """The pages of downloads, their JSON twins and the archives.

    The images' archives are opened here and closed with the site.

    Raises:
        DatabaseError: the secret of the links cannot be made or read.
    """
    database = site.database
    reader = ImageReader(database)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        reader.close()

    router = APIRouter(lifespan=lifespan)
    signer = LinkSigner(load_secret(secret_folder(database)))
    downloads = _Downloads(site, Plans(database, reader), signer, Slots())
    _add_archives(router, downloads)  # before the pages: {wnid} would match an archive's address
    _add_twins(router, downloads)
    _add_pages(router, downloads, site)
    return router


def _names(header: str, etag: str) -> bool:
    """Whether If-None-Match names an etag."""
    return etag in {each.strip().removeprefix("W/") for each in header.split(",")} or header == "*"


def _noun(wnid: str) -> str:
    if wnid not in load_nouns():
        raise HTTPException(404, "no noun of WordNet 3.0 has this wnid")
    return wnid


def _overview() -> dict[str, Any]:
    return {
        "lists": [
            {"name": name, "path": f"/download/lists/{name}", "about": each.about}
            | {"old_path": each.old_path}
            for name, each in text_api.available_lists().items()
        ],
        "answers": [
            {"path": f"/api/text/{name}?wnid=", "about": about} for name, about in _TEXT_API.items()
        ],
    }


def _add_archives(router: APIRouter, downloads: _Downloads) -> None:
    refusals: dict[int | str, dict[str, Any]] = {
        403: {"description": "The link is forged, expired or another account's"},
        404: {"description": "No images of such a synset"},
        410: {"description": "The archive has changed since the link was made"},
        429: {"description": "Too many downloads at a time"},
        503: {"description": "A source of the images is not there"},
    }
    tar_answers = refusals | {
        200: {"content": {"application/x-tar": {}}},
        206: {"description": "A part of the archive"},
        304: {"description": "The archive is the one of If-None-Match"},
        416: {"description": "No byte of the range is in the archive"},
    }

    @router.head("/download/{name}.tar", include_in_schema=False)
    @router.get("/download/{name}.tar", response_class=Response, responses=tar_answers)
    def tar(request: Request, name: str, key: _Key = "") -> Response:
        """A synset or a subtree as a tar, or the part of it that a Range header asks for."""
        try:
            return downloads.tar(request, name, key)
        except HTTPException as refusal:
            return _in_text(refusal)

    @router.get("/download/{name}.tar.sha256", response_class=PlainTextResponse, responses=refusals)
    async def checksum(request: Request, name: str, key: _Key = "") -> Response:
        """SHA-256 of an archive; the first time the whole archive is read for it."""
        try:
            return await run_slowly(request, downloads.checksum, request, name, key)
        except HTTPException as refusal:
            return _in_text(refusal)


def _in_text(refusal: HTTPException) -> Response:
    """For `curl`, which shows what it gets."""
    return PlainTextResponse(f"{refusal.detail}\n", refusal.status_code, refusal.headers)


def _add_twins(router: APIRouter, downloads: _Downloads) -> None:
    not_found: dict[int | str, dict[str, Any]] = {404: {"description": "No such noun"}}
    refusals: dict[int | str, dict[str, Any]] = {
        403: {"description": "The terms are not accepted"},
        404: {"description": "No images of such a synset"},
        429: {"description": "Too many downloads at a time"},
        503: {"description": "A source of the images is not there"},
    }

    @router.get("/download.json")
    def overview() -> dict[str, Any]:
        """The lists and where each is."""
        return _overview()

    @router.get("/download/{wnid}.json", responses=not_found)
    def synset(request: Request, wnid: str) -> dict[str, Any]:
        """What can be downloaded of a synset."""
        return downloads.synset(request, _noun(wnid))

    @router.get("/download/{wnid}/link.json", responses=refusals)
    async def link(request: Request, wnid: str, subtree: _Subtree = False) -> dict[str, Any]:
        """A link to a synset's archive, good for a day."""
        archive = Archive(_noun(wnid), subtree)
        return await run_slowly(request, downloads.link, request, archive)


def _add_pages(router: APIRouter, downloads: _Downloads, site: Site) -> None:
    @router.get("/download", include_in_schema=False)
    def overview(request: Request, wnid: str = "") -> Response:
        if wnid.strip() in load_nouns():  # typed into the page's form
            return RedirectResponse(f"/download/{wnid.strip()}", 303)
        return site.page(request, "downloads.html", {**_overview(), "asked": wnid})

    @router.get("/download/{wnid}", include_in_schema=False)
    def synset(request: Request, wnid: str) -> Response:
        return site.page(request, "downloads_synset.html", downloads.synset(request, _noun(wnid)))

    @router.get("/download/{wnid}/link", include_in_schema=False)
    async def link(request: Request, wnid: str, subtree: _Subtree = False) -> Response:
        archive = Archive(_noun(wnid), subtree)
        found = await run_slowly(request, downloads.link, request, archive)
        return await run_in_threadpool(site.page, request, "downloads_link.html", found)

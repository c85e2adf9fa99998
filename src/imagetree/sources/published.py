"""Sums that were published for the archives of ImageNet and ILSVRC, and files held to them.

An archive of 147 GB that came over a network may be cut off or damaged, and a damaged image is
found much later, if ever. MD5 is what was published; it finds damage, and no forgery.
Sources: image-net.org's download pages, for the sums and for the names of the files; the sizes in
bytes are those that readers of the two large archives list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from imagetree.sources.places import Place

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

BLOCK_BYTES = 8 << 20


class PublishedSum(NamedTuple):
    """What was published of a file.

    Args:
        md5: of its bytes, 32 hexadecimal digits.
        size_bytes: exactly; None where it is known in round figures alone.
    """

    md5: str
    size_bytes: int | None = None


PUBLISHED = {
    "ILSVRC2012_img_train.tar": PublishedSum("1d675b47d978889d74fa0da5fadfb00e", 147_897_477_120),
    "ILSVRC2012_img_train_t3.tar": PublishedSum("ccaf1013018ac1037801578038d370da"),
    "ILSVRC2012_img_val.tar": PublishedSum("29b22e2961454d5413ddabcf34fc5622", 6_744_924_160),
    "ILSVRC2012_img_test_v10102019.tar": PublishedSum("e1b8681fff3d63731c599df9b4b6fc02"),
    "ILSVRC2012_devkit_t12.tar.gz": PublishedSum("fa75699e90414af021442c21a62c3abf"),
    "ILSVRC2012_bbox_train_v2.tar.gz": PublishedSum("9271167e2176350e65cfe4e546f14b17"),
    "ILSVRC2012_bbox_val_v3.tgz": PublishedSum("f4cd18b5ea29fe6bbea62ec9c20d80f0"),
    "winter21_whole.tar.gz": PublishedSum("ab313ce03179fd803a401b02c651c0a2"),
    "imagenet21k_resized.tar.gz": PublishedSum("c314e95f17e357b3e9cbf0a18ef7ecd6"),
}
"""By the name of the file."""


def published_sum(name: str) -> PublishedSum | None:
    """What was published of a file; None where nothing was.

    Args:
        name: of the file, or its path or URL.

    >>> published_sum("/data/ILSVRC2012_img_val.tar").size_bytes, published_sum("val.tar")
    (6744924160, None)
    """
    is_web = name.lower().startswith(("http://", "https://"))
    return PUBLISHED.get((urlsplit(name).path if is_web else name).rpartition("/")[2])


def verify_md5(place: Place, progress: Progress | None = None) -> None:
    """Read a file from its beginning to its end, and hold it to the sum that was published for it.

    Args:
        place: the file; of a size that is known to be wrong nothing is read.
        progress: told after each block.

    Raises:
        DatabaseError: size or sum differ (both are named), nothing was published for a file of this
            name, or it cannot be read in full.
    """
    published = published_sum(place.location)
    if published is None:
        raise DatabaseError(
            f"{place.location}: no sum was published for a file of this name "
            f"(known: {', '.join(PUBLISHED)})",
            hint="give the file the name that it had where it was downloaded",
        )
    if published.size_bytes not in {None, place.size}:
        raise _differs(place, f"{place.size} bytes (expected {published.size_bytes})")
    md5 = _md5_of(place, progress)
    if md5 != published.md5:
        raise _differs(place, f"md5 {md5} (expected {published.md5})")


def _md5_of(place: Place, progress: Progress | None) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    done = 0
    while done < place.size:
        try:
            data = place.read(min(BLOCK_BYTES, place.size - done), done)
        except OSError as error:
            raise DatabaseError(
                f"{place.location}: cannot be read at byte {done} ({error.strerror})",
                hint="see whether the disk is sound",
            ) from error
        if not data:
            raise DatabaseError(f"{place.location}: ends after {done} bytes, and had {place.size}")
        md5.update(data)
        done += len(data)
        if progress is not None:
            progress(done, place.size)
    return md5.hexdigest()


def _differs(place: Place, what: str) -> DatabaseError:
    return DatabaseError(
        f"{place.location}: is not the file that was published: {what}",
        hint="download it again; `curl -C -` goes on with a download that was cut off",
    )

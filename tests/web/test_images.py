"""Images on pages: small, kept, without metadata, and gone with their image."""

from __future__ import annotations

import io
import json
import os
import tarfile
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from imagetree.curation.removal import hide_synset, remove_images, restore_image
from imagetree.database import find_image, import_source, open_database
from imagetree.sources.source import SourceOptions
from imagetree.web.thumbnails import Thumbnails

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"


def kept(site_place):
    return sorted((site_place.parent / f"{site_place.name}.thumbnails").rglob("*.jpg"))


def pixels(data: bytes):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def add_images(site_place, folder, files):
    """More images of cats: name and bytes of each."""
    (folder / CAT).mkdir(parents=True)
    for name, data in files.items():
        (folder / CAT / name).write_bytes(data)
    with open_database(site_place) as database:
        import_source(database, folder)


def photo(size=(900, 600), **more) -> bytes:
    """A JPEG that is red on the left and blue on the right."""
    picture = Image.new("RGB", size, (200, 30, 30))
    picture.paste((30, 30, 200), (size[0] // 2, 0, *size))
    file = io.BytesIO()
    picture.save(file, "JPEG", **more)
    return file.getvalue()


def test_a_thumbnail_is_made_once_and_shows_the_image(client, site_place):
    """Of the colour that the image has; the second time its file is not read."""
    first = client.get(f"/image/{DOG}_10/thumb")
    assert first.headers["content-type"] == "image/jpeg"
    assert pixels(first.content).shape == (12, 26, 3)
    assert np.abs(pixels(first.content) - (90, 40, 200)).max() < 12
    assert [path.name.split("-")[2] for path in kept(site_place)] == ["thumb.jpg"]
    kept(site_place)[0].write_bytes(b"kept")
    assert client.get(f"/image/{DOG}_10/thumb").content == b"kept"


def test_sizes_bound_the_longer_side(client, site_place, tmp_path):
    add_images(site_place, tmp_path / "more", {f"{CAT}_90.JPEG": photo((1800, 900))})
    shapes = {
        size: pixels(client.get(f"/image/{CAT}_90/{size}").content).shape
        for size in ("thumb", "view", "file")
    }
    assert shapes == {"thumb": (120, 240, 3), "view": (512, 1024, 3), "file": (900, 1800, 3)}


def test_an_address_that_names_the_bytes_is_kept_by_the_browser_alone(client):
    shown = client.get(f"/image/{DOG}_10.json").json()
    assert shown["thumb"].startswith(f"/image/{DOG}_10/thumb?v=")
    headers = client.get(shown["thumb"]).headers
    assert headers["cache-control"] == "private, max-age=86400, immutable"
    plain = client.get(f"/image/{DOG}_10/thumb?v=old").headers
    assert plain["cache-control"] == "private, no-cache"
    again = client.get(f"/image/{DOG}_10/thumb", headers={"If-None-Match": plain["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_images_page_tells_where_it_lies_and_what_is_beside_it(client):
    shown = client.get(f"/image/{DOG}_2.json").json()
    assert (shown["wnid"], shown["position"], shown["total"]) == (DOG, 2, 3)
    assert shown["previous"]["key"] == f"{DOG}_10"
    assert shown["next"]["key"] == f"{DOG}_3"
    assert (shown["format"], shown["width"], shown["height"]) == ("JPEG", 18, 12)
    assert shown["source"] == "classes"
    assert len(shown["paths"]) == 2
    page = client.get(f"/image/{DOG}_2").text
    assert f'href="/image/{DOG}_3" rel="next"' in page
    assert f'src="{shown["view"]}"' in page


def test_no_page_tells_of_this_machine(client, site_place):
    for path in (f"/image/{DOG}_2", f"/image/{DOG}_2.json", f"/synset/{DOG}.json"):
        assert str(site_place.parent) not in client.get(path).text


@pytest.mark.parametrize(
    "path",
    [
        *("n02084071_99", "n99999999_1", "n02084071/x", "n02084071_1%27%20or%201", "nobody"),
        *("n02084071_%00", "%00", "n02084071/%00x"),
        *("n02084071_..%2F..%2Fimages", "%3Cscript%3E", f"{CAT}/{DOG}_10"),
    ],
)
def test_what_is_no_image_is_not_found(client, path):
    for ending in ("", "/thumb", "/view", "/file", ".json"):
        found = client.get(f"/image/{path}{ending}")
        assert found.status_code == 404
        assert "<script>" not in found.text


def test_a_name_without_its_synset_leads_to_the_image(client, site_place, tmp_path):
    """And where several synsets have one of that name, to each of them.

    The image is called as a part of an address is, which must not be taken for one.
    """
    for wnid in (CAT, DOG):
        with tarfile.open(tmp_path / f"{wnid}.tar", "w") as archive:
            entry = tarfile.TarInfo("thumb.JPEG")
            entry.size = len(photo())
            archive.addfile(entry, io.BytesIO(photo()))
        labels = tmp_path / f"{wnid}.txt"
        labels.write_text(f"thumb.JPEG {wnid}\n")
        with open_database(site_place) as database:
            import_source(database, tmp_path / f"{wnid}.tar", SourceOptions(labels=labels))
        if wnid == CAT:
            found = client.get("/image/thumb", follow_redirects=False)
            assert found.headers["location"] == f"/image/{CAT}/thumb"
    page, image = (client.get(f"/image/{CAT}/thumb{ending}") for ending in ("", "/thumb"))
    assert page.headers["content-type"].startswith("text/html")
    assert image.headers["content-type"] == "image/jpeg"
    assert client.get(f"/image/{CAT}/thumb.json").json()["key"] == f"{CAT}/thumb"
    both = client.get("/image/thumb")
    assert both.status_code == 300
    assert f'href="/image/{CAT}/thumb"' in both.text
    assert f'href="/image/{DOG}/thumb"' in both.text


def test_a_strange_name_is_escaped_on_every_page(client, site_place, tmp_path):
    name = '"><script>alert(1)</script> é?#'.replace("/", "-")
    add_images(site_place, tmp_path / "more", {f"{name}.JPEG": photo()})
    shown = client.get(f"/synset/{CAT}.json").json()["images"]
    image = next(each for each in shown if "script" in each["name"])
    for path in (f"/synset/{CAT}", image["path"]):
        found = client.get(path)
        assert found.status_code == 200
        assert "<script>" not in found.text
    assert client.get(image["thumb"]).headers["content-type"] == "image/jpeg"


def test_a_percent_sign_in_a_name_is_one_in_its_address(address, site_place, tmp_path):
    """By a server of its own: the client of the other tests decodes an address twice."""
    add_images(site_place, tmp_path / "more", {"%2e%2e%2fx.JPEG": photo()})
    with urlopen(f"{address}/image/{CAT}_%252e%252e%252fx.json") as answer:
        shown = json.load(answer)
    assert shown["name"] == f"{CAT}_%2e%2e%2fx"
    with urlopen(address + shown["thumb"]) as answer:
        assert answer.headers["content-type"] == "image/jpeg"


def test_a_removed_image_is_gone_everywhere_at_once(client, site_place):
    """From its addresses, lists and counters; and its file with the next image asked for."""
    for name in (f"{DOG}_2", f"{DOG}_3"):
        address = client.get(f"/image/{name}.json").json()["thumb"]
        assert client.get(address).status_code == 200
    assert len(kept(site_place)) == 2
    with open_database(site_place) as database:
        removed = find_image(database, f"{DOG}_2")
        remove_images(database, [f"{DOG}_2"], "asked for by its owner")
    for ending in ("", ".json", "/thumb", "/view", "/file"):
        assert client.get(f"/image/{DOG}_2{ending}").status_code == 404
    for path in (f"/synset/{DOG}", "/explore", f"/image/{DOG}_3", "/common/1?reveal=true", "/"):
        assert f"{DOG}_2" not in client.get(path).text
    assert "5 images" in client.get("/").text
    assert client.get(f"/image/{DOG}_3/thumb").status_code == 200
    assert [int(path.name.split("-")[0]) != removed.id for path in kept(site_place)] == [True]
    with open_database(site_place) as database:
        restore_image(database, f"{DOG}_2", DOG, "asked for again")
    assert client.get(f"/image/{DOG}_2/thumb").status_code == 200


def test_the_images_of_a_hidden_synset_are_gone_too(client, site_place):
    assert client.get(f"/image/{CAT}_1/thumb").status_code == 200
    with open_database(site_place) as database:
        hide_synset(database, "n02121620", "for the test")
    assert client.get(f"/image/{CAT}_1/thumb").status_code == 404
    assert client.get(f"/image/{CAT}_1").status_code == 404
    assert client.get(f"/image/{DOG}_2/thumb").status_code == 200
    assert len(kept(site_place)) == 1


def test_metadata_is_left_out_and_the_image_stands_upright(client, site_place, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned right
    exif[271] = "Secret Camera"
    data = photo((80, 40), exif=exif)
    assert b"Secret" in data
    add_images(site_place, tmp_path / "more", {f"{CAT}_90.JPEG": data})
    for ending in ("thumb", "view", "file"):
        sent = client.get(f"/image/{CAT}_90/{ending}").content
        assert b"Secret" not in sent
        assert b"Exif" not in sent
        assert pixels(sent).shape == (80, 40, 3)
        assert pixels(sent)[10, 20, 0] > 150  # red is above now
    assert client.get(f"/image/{CAT}_90.json").json()["orientation"] == 6


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<script>alert(1)</script>", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (photo()[:300], ""),
        (photo((65_000, 1))[:200], ""),
    ],
)
def test_a_bad_image_is_named_with_its_reason(client, site_place, tmp_path, data, reason):
    """Instead of it a sign is sent, and the other images are shown as ever."""
    add_images(site_place, tmp_path / "more", {f"{CAT}_90.JPEG": photo()})
    whole = len(photo())
    (tmp_path / "more" / CAT / f"{CAT}_90.JPEG").write_bytes(data.ljust(whole))
    for ending in ("thumb", "view", "file"):
        sent = client.get(f"/image/{CAT}_90/{ending}")
        assert (sent.status_code, sent.headers["content-type"]) == (404, "image/svg+xml")
        assert sent.headers["cache-control"] == "no-store"
        assert b"script" not in sent.content
    page = client.get(f"/image/{CAT}_90").text
    assert reason in page
    assert "<script>" not in page
    assert client.get(f"/image/{CAT}_1/thumb").status_code == 200


def test_nothing_is_fetched_from_the_web(client, site_place, tmp_path):
    """An image that is a URL is named, not asked for."""
    urls = tmp_path / "urls.txt"
    urls.write_text(f"{CAT}_77\thttp://127.0.0.1:9/cat.jpg\n")
    with open_database(site_place) as database:
        import_source(database, urls)
    page = client.get(f"/image/{CAT}_77").text
    assert "lies on the web" in page
    assert 'rel="noopener noreferrer nofollow">http://127.0.0.1:9/cat.jpg' in page
    assert client.get(f"/image/{CAT}_77/thumb").status_code == 404


def test_all_pixels_are_for_who_may_download(client):
    class Closed:
        terms_path = "/terms"

        def account_of(self, request):
            return ""

        def may_download(self, account):
            return False

    client.app.state.site.gate = Closed()
    assert client.get(f"/image/{DOG}_2/file").status_code == 403
    assert client.get(f"/image/{DOG}_2/view").status_code == 200
    assert "accepted the terms" in client.get(f"/image/{DOG}_2").text


def test_what_is_kept_has_a_bound(site_place, tmp_path):
    """Beyond it the oldest files go, until a fifth of the room is free."""
    with open_database(site_place) as database:
        rows = [find_image(database, f"{DOG}_{number}") for number in (10, 2, 3)]
        thumbnails = Thumbnails(database, tmp_path / "kept")
        sizes = [len(thumbnails.get(row, "thumb")) for row in rows]
        for age, row in enumerate(reversed(rows)):
            (path,) = (tmp_path / "kept").rglob(f"{row.id}-*.jpg")
            os.utime(path, (1_000_000 - age, 1_000_000 - age))
        thumbnails.close()
        bounded = Thumbnails(database, tmp_path / "kept", max_bytes=int(sum(sizes) * 0.9))
        bounded.get(rows[2], "thumb")
        left = {int(path.name.split("-")[0]) for path in (tmp_path / "kept").rglob("*.jpg")}
        assert left == {rows[1].id, rows[2].id}
        bounded.close()


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(site_place, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    with open_database(site_place) as database:
        thumbnails = Thumbnails(database, tmp_path / "file" / "below")
        assert thumbnails.get(find_image(database, f"{DOG}_2"), "thumb")
        assert "not kept" in caplog.text
        thumbnails.close()


def test_an_archive_that_was_imported_again_is_read_anew(site_place, tmp_path, monkeypatch):
    """Its images have other addresses and other bytes, without a restart."""
    monkeypatch.setattr("imagetree.web.thumbnails.LOOK_SECONDS", 0)

    def write(colour):
        file = io.BytesIO()
        Image.new("RGB", (20, 20), colour).save(file, "JPEG")
        with tarfile.open(tmp_path / f"{CAT}.tar", "w") as archive:
            entry = tarfile.TarInfo(f"{CAT}_50.JPEG")
            entry.size = len(file.getvalue())
            archive.addfile(entry, io.BytesIO(file.getvalue()))
        with open_database(site_place) as database:
            import_source(database, tmp_path / f"{CAT}.tar")

    with open_database(site_place) as database:
        thumbnails = Thumbnails(database)
        write((250, 0, 0))
        row = find_image(database, f"{CAT}_50")
        before = thumbnails.version(row), thumbnails.get(row, "thumb")
        os.utime(tmp_path / f"{CAT}.tar", (1, 1))
        write((0, 0, 250))
        row = find_image(database, f"{CAT}_50")
        after = thumbnails.version(row), thumbnails.get(row, "thumb")
        assert before[0] != after[0]
        assert pixels(before[1])[0, 0, 0] > 200
        assert pixels(after[1])[0, 0, 2] > 200
        thumbnails.close()

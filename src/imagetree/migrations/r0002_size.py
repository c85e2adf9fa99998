"""The size of ImageNet: short names, counts by state; places elsewhere, curation, releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_IMAGES = sa.table(
    "images",
    sa.column("synset", sa.Integer),
    sa.column("name", sa.String),
    sa.column("length", sa.Integer),
    sa.column("state", sa.SmallInteger),
)
_SOURCES = sa.table(
    "sources",
    *(sa.column(name) for name in ("container", "layout", "mtime_ns", "version")),
)
_KINDS = {  # of sources, as the first schema names them
    "tar of tars": ("tar", "tar per class"),
    "flat tar": ("tar", "flat, with labels"),
    "folder per class": ("folder", "folder per class"),
}
_META = sa.table("meta", sa.column("key"), sa.column("value"))


def upgrade() -> None:
    """Change what is there; make what is new."""
    _change_sources()
    _shorten_names()
    _count_again()
    op.execute(sa.delete(_META).where(_META.c.key == "schema_version"))
    op.execute(sa.insert(_META).values(key="revision", value="1"))
    _make_curation()
    _make_releases()


def _change_sources() -> None:
    op.alter_column("sources", "path", new_column_name="location")
    op.alter_column("sources", "kind", new_column_name="layout")
    op.add_column("sources", sa.Column("container", sa.String, nullable=False, server_default=""))
    for kind, (container, layout) in _KINDS.items():
        is_it = _SOURCES.c.layout == kind
        values = {"container": container, "layout": layout}
        op.execute(sa.update(_SOURCES).where(is_it).values(values))
    op.add_column("sources", sa.Column("version", sa.String, nullable=False, server_default=""))
    op.execute(sa.update(_SOURCES).values(version=sa.cast(_SOURCES.c.mtime_ns, sa.String)))
    op.drop_column("sources", "mtime_ns")
    op.add_column("sources", sa.Column("resume_at", sa.String))


def _shorten_names() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("images", "name", type_=sa.String(collation="C"))
    name = _IMAGES.c.name
    digits = sa.func.substr(sa.cast(100_000_000 + _IMAGES.c.synset, sa.String), 2)
    prefix = sa.literal("n").concat(digits).concat("_")
    is_long = sa.func.substr(name, 1, 10) == prefix
    op.execute(sa.update(_IMAGES).where(is_long).values(name=sa.func.substr(name, 10)))


def _count_again() -> None:
    op.drop_table("synset_counts")
    counts = op.create_table(
        "synset_counts",
        sa.Column("synset", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("num_images", sa.Integer, nullable=False),
        sa.Column("num_quarantined", sa.Integer, nullable=False),
        sa.Column("num_removed", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )

    def number(state: int, what: object = 1) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((_IMAGES.c.state == state, what), else_=0))

    sums = sa.select(
        _IMAGES.c.synset, number(0), number(1), number(2), number(0, _IMAGES.c.length)
    ).group_by(_IMAGES.c.synset)
    op.execute(sa.insert(counts).from_select([c.name for c in counts.columns], sums))


def _image(*, is_key: bool) -> sa.Column[int]:
    key = sa.ForeignKey("images.id", ondelete="CASCADE")
    return sa.Column("image_id", sa.Integer, key, primary_key=is_key, nullable=False)


def _make_curation() -> None:
    op.create_table(
        "image_facts",
        _image(is_key=True),
        sa.Column("format", sa.String, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("phash", sa.BigInteger),
        sa.Column("traits", sa.SmallInteger, nullable=False),
    )
    op.create_table(
        "votes",
        sa.Column("id", sa.Integer, primary_key=True),
        _image(is_key=False),
        sa.Column("voter", sa.String, nullable=False),
        sa.Column("is_match", sa.Boolean, nullable=False),
        sa.Column("voted_at", sa.String, nullable=False),
        sa.UniqueConstraint("image_id", "voter"),
    )
    op.create_table("gold", _image(is_key=True), sa.Column("is_match", sa.Boolean, nullable=False))
    op.create_table(
        "hidden_synsets",
        sa.Column("synset", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("subtree", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("hidden_at", sa.String, nullable=False),
    )


def _make_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("num_images", sa.Integer, nullable=False),
        sa.Column("num_synsets", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
    )
    release = sa.ForeignKey("releases.id")
    op.create_table(
        "release_synsets",
        sa.Column("release_id", sa.Integer, release, primary_key=True),
        sa.Column("synset", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("num_images", sa.Integer, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("names", sa.LargeBinary, nullable=False),
    )

"""The first schema: sources, images, counts, problems."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("labels_path", sa.String),
        sa.Column("labels_sha256", sa.String),
        sa.Column("imported_at", sa.String, nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id"), nullable=False),
        sa.Column("synset", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("path", sa.String),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.UniqueConstraint("synset", "name"),
    )
    op.create_table(
        "synset_counts",
        sa.Column("synset", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("num_images", sa.Integer, nullable=False),
    )
    image = sa.ForeignKey("images.id", ondelete="CASCADE")
    op.create_table(
        "problems",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id"), nullable=False),
        sa.Column("image_id", sa.Integer, image, index=True),
        sa.Column("item", sa.String, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("seen_at", sa.String, nullable=False),
    )
    meta = sa.table("meta", sa.column("key", sa.String), sa.column("value", sa.String))
    facts = {"format": "imagetree database", "schema_version": "1"}
    op.bulk_insert(meta, [{"key": key, "value": value} for key, value in facts.items()])

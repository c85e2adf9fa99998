"""Mail: who is on the mailing list, and what waits to be sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subscribers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String, nullable=False, unique=True),
        sa.Column("nonce", sa.String, nullable=False),
        sa.Column("asked_at", sa.String, nullable=False),
        sa.Column("joined_at", sa.String),
    )
    subscriber = sa.ForeignKey("subscribers.id", ondelete="CASCADE")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("email", sa.String),
        sa.Column("subscriber_id", sa.Integer, subscriber, index=True),
        sa.Column("news_id", sa.Integer, sa.ForeignKey("news.id")),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.UniqueConstraint("news_id", "subscriber_id"),
    )
    op.create_index("ix_outbox_purpose_next_at", "outbox", ["purpose", "next_at"])

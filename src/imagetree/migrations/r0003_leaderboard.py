"""Leaderboards: teams, boards, entries, their scores, and the log of what was done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _make_boards()
    _make_entries()
    _make_scores()
    _make_log()


def _make_boards() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("key", _NAME, nullable=False, unique=True),
        sa.Column("members", sa.String, nullable=False),
        sa.Column("account_id", sa.Integer),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_table(
        "leaderboards",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _NAME, nullable=False, unique=True),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("challenge", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("num_images", sa.Integer, nullable=False),
        sa.Column("num_classes", sa.Integer, nullable=False),
        sa.Column("entries_folder", sa.String, nullable=False),
        sa.Column("weekly_limit", sa.Integer, nullable=False),
        sa.Column("rank_k", sa.Integer, nullable=False),
        sa.Column("shows_classes", sa.Boolean, nullable=False),
        sa.Column("opened_at", sa.String, nullable=False),
        sa.Column("closed_at", sa.String),
    )


def _make_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("board_id", sa.Integer, sa.ForeignKey("leaderboards.id"), nullable=False),
        sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id"), nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("uses_extra_data", sa.Boolean, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("submitted_at", sa.String, nullable=False),
        sa.Column("file_name", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("format", sa.String, nullable=False),
        sa.Column("labels", sa.String),
        sa.Column("equal_to", sa.Integer, sa.ForeignKey("entries.id")),
        sa.Column("withdrawn_at", sa.String),
        sa.UniqueConstraint("board_id", "team_id", "sha256"),
    )


def _make_scores() -> None:
    op.create_table(
        "entry_scores",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("entry_id", sa.Integer, sa.ForeignKey("entries.id"), nullable=False, index=True),
        sa.Column("k", sa.SmallInteger, nullable=False),
        sa.Column("num_misses", sa.Integer, nullable=False),
        sa.Column("error", sa.Double, nullable=False),
        sa.Column("error_low", sa.Double, nullable=False),
        sa.Column("error_high", sa.Double, nullable=False),
        sa.Column("hierarchical_error", sa.Double, nullable=False),
        sa.Column("hierarchical_low", sa.Double, nullable=False),
        sa.Column("hierarchical_high", sa.Double, nullable=False),
        sa.Column("misses", sa.LargeBinary, nullable=False),
        sa.Column("scorer", sa.String, nullable=False),
        sa.Column("scored_at", sa.String, nullable=False),
    )


def _make_log() -> None:
    op.create_table(
        "leaderboard_log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("board_id", sa.Integer, sa.ForeignKey("leaderboards.id"), index=True),
        sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id")),
        sa.Column("entry_id", sa.Integer, sa.ForeignKey("entries.id")),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )

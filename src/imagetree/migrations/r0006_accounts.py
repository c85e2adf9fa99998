"""Accounts of the site: who, what opens them, what is limited, what was done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("key", _NAME, nullable=False, unique=True),
        sa.Column("email", sa.String, unique=True),
        sa.Column("password", sa.String),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("disabled_at", sa.String),
        sa.Column("terms", sa.String),
        sa.Column("terms_at", sa.String),
    )
    op.create_table(
        "account_keys",
        sa.Column("id", sa.Integer, primary_key=True),
        _account(nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("used_at", sa.String, nullable=False),
        sa.Column("expires_at", sa.String, nullable=False),
    )
    op.create_table(
        "account_tries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False, index=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "account_log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        _account(nullable=True),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
    )


def _account(*, nullable: bool) -> sa.Column[int]:
    key = sa.ForeignKey("accounts.id")
    return sa.Column("account_id", sa.Integer, key, nullable=nullable, index=True)

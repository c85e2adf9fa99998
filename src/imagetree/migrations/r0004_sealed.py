"""Images of a sealed test, which are counted apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the column; no image is sealed yet."""
    column = sa.Column("num_sealed", sa.Integer, nullable=False, server_default="0")
    op.add_column("synset_counts", column)

"""Tickets that let a learner's browser in to their JupyterLab."""

import sqlalchemy as sa
from alembic import op

from records.tables import Moment

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "notebook_tickets",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("lab", sa.String(length=80), nullable=False),
        sa.Column("use", sa.String(length=10), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notebook_tickets_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_notebook_tickets")),
    )


def downgrade() -> None:
    op.drop_table("notebook_tickets")

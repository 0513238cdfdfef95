"""Practice accounts, what is deployed into them, and saved test events."""

import sqlalchemy as sa
from alembic import op

from records.tables import Moment

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "practice_accounts",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=160), nullable=False),
        sa.Column("account_id", sa.String(length=12)),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_practice_accounts_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "place", name=op.f("pk_practice_accounts")),
    )
    op.create_table(
        "practice_deployments",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=160), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("lab", sa.String(length=80), nullable=False),
        sa.Column("blob", sa.String(length=71), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("open_key", sa.String(length=200)),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("lease_until", Moment()),
        sa.Column("queued_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment()),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_practice_deployments_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["blob"], ["blobs.digest"], name=op.f("fk_practice_deployments_blob")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_deployments")),
        sa.UniqueConstraint("open_key", name=op.f("uq_practice_deployments_open_key")),
    )
    op.create_index(op.f("ix_practice_deployments_user_id"), "practice_deployments", ["user_id", "lab"])
    op.create_index(op.f("ix_practice_deployments_state"), "practice_deployments", ["state", "place"])
    op.create_table(
        "practice_events",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("lab", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("saved_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_practice_events_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "lab", "name", name=op.f("pk_practice_events")),
    )


def downgrade() -> None:
    for name in ("practice_events", "practice_deployments", "practice_accounts"):
        op.drop_table(name)

"""Hints that learners open, and attempts that repeat an earlier one on its seed."""

import sqlalchemy as sa
from alembic import op

from records.tables import Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "hints",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("lab", sa.String(length=80), nullable=False),
        sa.Column("check_id", sa.String(length=20), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_hints_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hints")),
        sa.UniqueConstraint(
            "user_id", "lab", "check_id", "step", name=op.f("uq_hints_user_id_lab_check_id_step")
        ),
    )
    op.add_column("attempts", sa.Column("seed", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "seed")
    op.drop_table("hints")

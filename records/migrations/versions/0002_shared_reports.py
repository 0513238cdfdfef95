"""Links by which a learner shows a report to others."""

import sqlalchemy as sa
from alembic import op

from records.tables import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "shared_reports",
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=43), nullable=False),
        sa.Column("shared_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_shared_reports_attempt_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_shared_reports")),
        sa.UniqueConstraint("key", name=op.f("uq_shared_reports_key")),
    )


def downgrade() -> None:
    op.drop_table("shared_reports")

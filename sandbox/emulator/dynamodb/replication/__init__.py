"""Global tables, version 2019.11.21, with eventual consistency between regions."""

from sandbox.emulator.dynamodb.replication.service import GlobalTables

__all__ = ["GlobalTables"]

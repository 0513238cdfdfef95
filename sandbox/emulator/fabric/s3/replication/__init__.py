"""Copies of objects in other buckets, made later and in the role that a bucket names."""

from sandbox.emulator.fabric.s3.replication.service import Replication

__all__ = ["Replication"]

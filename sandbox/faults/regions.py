"""Faults of regions: one goes dark, or what one does no longer reaches another."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sandbox.faults.model import Fault

Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="a region such as eu-west-1")]


class RegionOutage(Fault):
    """Nothing of a region answers, runs or is delivered; what was queued there goes on afterwards."""

    name: ClassVar[str] = "region_outage"

    region: Region


class ReplicationDelay(Fault):
    """What is written takes so long to other regions."""

    name: ClassVar[str] = "replication.delay"

    seconds: float = Field(ge=0, le=86_400, description="how long, in account time")
    source: Region | Literal[""] = Field(default="", description="only what is written in this region")
    target: Region | Literal[""] = Field(default="", description="only on the way to this region")


class CutReplication(Fault):
    """What is written in one region is not replicated to another until the fault ends."""

    name: ClassVar[str] = "cut_replication"

    source: Region = Field(description="the region that is written in")
    target: Region = Field(description="the region that does not hear of it")
    both: bool = Field(default=True, description="in the other direction neither")

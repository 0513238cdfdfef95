"""Which resources a request names, by the types that AWS's action list speaks of.

One builder for each type of resource, kept by the services that go together; DynamoDB and S3 have more
to say and stand alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.emulator.iam.mapping import administration, functions, messages
from sandbox.emulator.iam.mapping.model import Asked
from sandbox.emulator.iam.mapping.naming import Builder

BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    **administration.BUILDERS,
    **functions.BUILDERS,
    **messages.BUILDERS,
}


def build(asked: Asked, prefix: str, types: tuple[str, ...]) -> list[str]:
    """Every ARN that a request names of these types, once."""
    builders = BUILDERS.get(prefix, {})
    found: dict[str, None] = {}
    for name in types:
        builder = builders.get(name)
        for arn in builder(asked) if builder is not None else ():
            found[arn] = None
    if not found and types:
        # Operations on tags and resource policies say the whole ARN.
        said = asked.texts("ResourceArn", "resourceArn", "ResourceARN", "Resource")
        found = dict.fromkeys(arn for arn in said if arn.startswith("arn:"))
    return list(found)

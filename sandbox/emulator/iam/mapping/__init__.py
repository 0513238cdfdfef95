"""From a request to what has to be allowed for it: pure, by AWS's own list of actions and reviewed tables."""

from sandbox.emulator.iam.mapping.model import Asked, Authorisation, Facts, NoFacts, Unmapped
from sandbox.emulator.iam.mapping.requests import authorisations

__all__ = ["Asked", "Authorisation", "Facts", "NoFacts", "Unmapped", "authorisations"]

"""Decides as AWS does whether a caller may do something. Pure: no I/O, no clock, no AWS libraries.

    policies = Policies(identity=(parse_policy(document, "orders-worker/inline"),))
    decision = evaluate(Caller.user("111122223333", "arn:aws:iam::111122223333:user/ada"), request, policies)

``model`` has the types, ``documents`` reads policies, ``evaluator`` decides, ``explain`` says why in words,
``validation`` refuses malformed documents with AWS's reasons.
"""

from sandbox.emulator.iam.evaluation.documents import MalformedPolicy, parse_policy
from sandbox.emulator.iam.evaluation.evaluator import evaluate
from sandbox.emulator.iam.evaluation.explain import Explanation, denial_sentence, explain
from sandbox.emulator.iam.evaluation.model import (
    Caller,
    CallerKind,
    Decision,
    Policies,
    Policy,
    PolicyType,
    Reason,
    Request,
    StatementRef,
)
from sandbox.emulator.iam.evaluation.validation import (
    PolicyKind,
    PolicyRefused,
    SizeLimit,
    check_size,
    validate,
)

__all__ = [
    "Caller",
    "CallerKind",
    "Decision",
    "Explanation",
    "MalformedPolicy",
    "Policies",
    "Policy",
    "PolicyKind",
    "PolicyRefused",
    "PolicyType",
    "Reason",
    "Request",
    "SizeLimit",
    "StatementRef",
    "check_size",
    "denial_sentence",
    "evaluate",
    "explain",
    "parse_policy",
    "validate",
]

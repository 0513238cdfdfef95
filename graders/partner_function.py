"""The code of a partner that the grader owns: it answers as it was told to, and keeps a ledger of its calls.

It is deployed as it stands (:mod:`graders.partners`), so it uses the standard library alone. The ledger is
its log: one JSON line when a call begins and one when it ends, with the partner's own clock.
"""

import hashlib
import json
import os
import time
from typing import Any

# What is longer is kept as a digest, so that a line of the ledger stays short.
VERBATIM_CHARACTERS = 500


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one call as the variable BEHAVIOUR says: ``{"latency_ms", "failure"}``, both optional.

    Raises:
        Exception: of the class named by ``failure``; nothing was done.
    """
    call = context.aws_request_id
    behaviour = json.loads(os.environ.get("BEHAVIOUR") or "{}")
    note(call=call, began=time.time(), said=abridged(event))
    time.sleep(behaviour.get("latency_ms", 0) / 1000)
    failure = behaviour.get("failure", "")
    note(call=call, ended=time.time(), failure=failure)
    if failure:
        raise type(failure, (Exception,), {})("Nothing was done. Try again later.")
    return {"accepted": True, "id": call}


def note(**entry: Any) -> None:
    """Write a line of the ledger."""
    print(json.dumps({"ledger": entry}), flush=True)


def abridged(payload: Any) -> Any:
    """A payload with its long fields as digests; what is no object is one field named ``payload``."""
    fields = payload if isinstance(payload, dict) else {"payload": payload}
    return {str(name): told(value) for name, value in fields.items()}


def told(value: Any) -> Any:
    """A field as the ledger keeps it."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) <= VERBATIM_CHARACTERS:
        return value
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}

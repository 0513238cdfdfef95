"""The code of a partner that the grader owns: it answers as it was told to, and keeps a ledger of its calls.

It is deployed as it stands (:mod:`graders.partners`), so it uses the standard library alone. The ledger is
its log: one JSON line when a call begins and one when it ends, with the partner's own clock.
"""

import hashlib
import json
import os
import random
import time
from typing import Any

# What is longer is kept as a digest, so that a line of the ledger stays short.
VERBATIM_CHARACTERS = 500
_chances: dict[str, random.Random] = {}


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one call as the variable BEHAVIOUR says.

    It is ``{"latency_ms", "failure", "share", "seed", "performed", "answer"}``, all of them optional.

    Raises:
        Exception: of the class named by ``failure``; nothing was done, unless ``performed`` says otherwise.
    """
    call = context.aws_request_id
    behaviour = json.loads(os.environ.get("BEHAVIOUR") or "{}")
    note(call=call, began=time.time(), said=abridged(event))
    time.sleep(behaviour.get("latency_ms", 0) / 1000)
    failure = behaviour.get("failure", "") if fails(behaviour) else ""
    performed = not failure or bool(behaviour.get("performed"))
    note(call=call, ended=time.time(), failure=failure, performed=performed)
    if failure:
        raise type(failure, (Exception,), {})(
            "The answer was lost." if performed else "Nothing was done. Try again later."
        )
    return {"accepted": True, "id": call, **behaviour.get("answer", {})}


def fails(behaviour: dict[str, Any]) -> bool:
    """Whether this call is one of the share that fails: the same ones in every new environment."""
    share = float(behaviour.get("share", 1))
    _chances.setdefault("made", random.Random(behaviour.get("seed", 0)))
    return share >= 1 or _chances["made"].random() < share


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

"""Files of nets taken apart, changed and sealed again, as only an attacker would."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

SEAL = re.compile(rb'(\\"sha256\\":\\")([0-9a-f]{64})(\\")')


def sealed(content: bytes) -> bytes:
    """The same bytes with the digest that belongs to them, if there is a place for it."""
    found = SEAL.search(content)
    if found is None:
        return content
    first, last = found.span(2)
    digest = hashlib.sha256(content[:first] + b"0" * 64 + content[last:]).hexdigest()
    return content[:first] + digest.encode() + content[last:]


def with_header(header: bytes, payload: bytes) -> bytes:
    return sealed(len(header).to_bytes(8, "little") + header + payload)


def parts_of(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The table of arrays, the recipe and the payload."""
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    recipe = json.loads(table.pop("__metadata__")["fastbp"])
    return table, recipe, content[8 + length :]


def joined(table: dict[str, Any], recipe: Any, payload: bytes) -> bytes:
    """Undo `parts_of`, with a digest that fits."""
    text = json.dumps(recipe, separators=(",", ":"))
    header = {"__metadata__": {"fastbp": text}, **table}
    return with_header(json.dumps(header, separators=(",", ":")).encode(), payload)

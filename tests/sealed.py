"""Files of nets and estimators taken apart, changed and sealed again, as only an attacker would."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from typing import Any

import numpy as np

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


def header_of(sound: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(sound[:8], "little")
    return sound[8 : 8 + length], sound[8 + length :]


# ---- changes at random --------------------------------------------------------------------------

ODD = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**40, 2**63, 10**30, 1e308, -0.5, "", "SGD", "relu",
    "graph", "os.system", "F64", [], {}, [[]], {"kind": "SGD"}, {"kind": "your own", "name": "f"},
    [2**40], [1, 1], "\u0000", "x" * 1000,
]  # fmt: skip


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree of JSON with each of its keys."""
    found = []
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            found.append((data, key))
            found.extend(places(data[key]))
    return found


def mutated(sound: bytes, draw: np.random.Generator) -> bytes:
    """The file with one to three changes, sealed again."""
    table, recipe, payload = parts_of(sound)
    header = None
    for _ in range(int(draw.integers(1, 4))):
        tree = {"table": table, "recipe": recipe}
        where = places(tree)[2:]
        holder, key = where[int(draw.integers(len(where)))]
        other, other_key = where[int(draw.integers(len(where)))]
        match int(draw.integers(7)):
            case 0:
                holder[key] = copy.deepcopy(ODD[int(draw.integers(len(ODD)))])
            case 1:
                holder[key] = copy.deepcopy(other[other_key])
            case 2:
                holder.pop(key)
            case 3 if isinstance(holder, list):
                holder.append(copy.deepcopy(other[other_key]))
            case 3:
                holder[f"{key}{draw.integers(3)}"] = copy.deepcopy(other[other_key])
            case 4 if payload:
                at = int(draw.integers(len(payload)))
                payload = payload[:at] + bytes([int(draw.integers(256))]) + payload[at + 1 :]
            case 5:
                at = int(draw.integers(len(payload) + 1))
                payload = payload[:at] + payload[at + int(draw.integers(9)) :]
            case 6:
                number = holder[key]
                if type(number) in (int, float):
                    holder[key] = number * float(draw.choice([-1, 0.5, 2])) + int(draw.integers(2))
        table, recipe = tree.get("table", {}), tree.get("recipe", {})
        if not (isinstance(table, dict) and isinstance(recipe, dict)):
            break
    content = joined(table, recipe, payload) if isinstance(table, dict) else sound[:8]
    if draw.integers(4) == 0:  # and bytes of the header
        header, rest = header_of(content)
        edited = bytearray(header)
        for at in draw.integers(len(edited), size=2):
            edited[at] = int(draw.integers(256))
        content = with_header(bytes(edited), rest)
    return sealed(content)

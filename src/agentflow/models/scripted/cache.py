"""The scripted model's token counts: four bytes a token, and a prompt cache.

The cache is a simplification of the real one. A prefix that an earlier request had under a
breakpoint reads from the cache if it ends at most 20 blocks before one of this request's
breakpoints; what follows it up to the last breakpoint is written. Entries never expire and have
no minimum length.
"""

import hashlib
import json
from dataclasses import dataclass, field

from agentflow.frozen import record
from agentflow.records import Json

LOOKBACK = 20
"""Blocks that the API looks back from a breakpoint for an earlier entry."""


@record
class Prefix:
    """A request up to and including one of its blocks."""

    digest: bytes
    tokens: int
    lifetime: str | None
    """`5m` or `1h` if a breakpoint stands here."""


@dataclass(slots=True)
class Cache:
    """What all requests so far left in the cache."""

    known: set[bytes] = field(default_factory=set[bytes])

    def usage(self, body: Json, output_tokens: int) -> Json:
        """Account for one answered request; the usage object as on the wire."""
        prefixes = list_prefixes(body)
        marked = [place for place, prefix in enumerate(prefixes) if prefix.lifetime]
        read = max((self._longest_hit(prefixes, place) for place in marked), default=0)
        written = {"1h": 0, "5m": 0}
        done = read
        for place in marked:
            prefix = prefixes[place]
            if prefix.tokens > done:
                written[prefix.lifetime or "5m"] += prefix.tokens - done
                done = prefix.tokens
            self.known.add(prefix.digest)
        total = prefixes[-1].tokens if prefixes else 0
        return {
            "input_tokens": total - done,
            "cache_creation_input_tokens": written["5m"] + written["1h"],
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": written["5m"],
                "ephemeral_1h_input_tokens": written["1h"],
            },
            "output_tokens": output_tokens,
        }

    def _longest_hit(self, prefixes: list[Prefix], place: int) -> int:
        nearby = prefixes[max(0, place - LOOKBACK) : place + 1]
        return max((p.tokens for p in nearby if p.digest in self.known), default=0)


def estimate(value: object) -> int:
    """Tokens of a JSON value at four bytes each."""
    return len(json.dumps(value, ensure_ascii=False).encode()) // 4


def list_prefixes(body: Json) -> list[Prefix]:
    """One prefix for each block, in the order tools, system, messages."""
    found: list[Prefix] = []
    digest, size = hashlib.sha256(), 0
    for block in _blocks(body):
        control = block.get("cache_control")
        plain = {key: value for key, value in block.items() if key != "cache_control"}
        text = json.dumps(plain, ensure_ascii=False, sort_keys=True).encode()
        digest.update(text)
        size += len(text)
        lifetime = (control.get("ttl") or "5m") if control else None
        found.append(Prefix(digest.digest(), size // 4, lifetime))
    if found and body.get("cache_control") and found[-1].lifetime is None:
        lifetime = body["cache_control"].get("ttl") or "5m"
        found[-1] = Prefix(found[-1].digest, found[-1].tokens, lifetime)
    return found


def _blocks(body: Json) -> list[Json]:
    messages: list[Json] = [
        {**block, "role": message["role"]}
        for message in body["messages"]
        for block in as_blocks(message["content"])
    ]
    return [*(body.get("tools") or ()), *as_blocks(body.get("system") or []), *messages]


def as_blocks(content: str | list[Json]) -> list[Json]:
    """Content as a list of blocks; a string is shorthand for one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content

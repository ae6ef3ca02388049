"""The legal word that a wrong one was most likely meant to be.

Decides by what is known to be confused, then by edit distance regardless of case. Refuses to guess
where nothing is near.
"""

from __future__ import annotations

from collections.abc import Collection

# Confusions seen in the field whose spelling alone would lead elsewhere ("Error" is nearer to "NoError").
_KNOWN = {"Hz": "Hertz", "Error": "OtherError"}


def nearest(word: str, candidates: Collection[str]) -> str | None:
    """The candidate that `word` was meant to be, None where none is within half of its length."""
    known = _KNOWN.get(word)
    if known in candidates:
        return known
    folded = word[:100].casefold()
    best: str | None = None
    best_distance = max(2, len(folded) // 2) + 1
    for candidate in candidates:
        distance = _distance(folded, candidate.casefold(), best_distance)
        if distance < best_distance:
            best, best_distance = candidate, distance
    return best


def _distance(one: str, other: str, limit: int) -> int:
    """Levenshtein's edit distance, or `limit` where it is not below."""
    if abs(len(one) - len(other)) >= limit:
        return limit
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return min(row[-1], limit)

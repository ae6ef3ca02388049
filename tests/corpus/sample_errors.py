"""Prints findings of severity error over the reference corpus, chosen at random, for a human to judge.

    OCPP_CORPUS=… python tests/corpus/sample_errors.py [--seed N] [--count N]

The same seed gives the same findings as long as rules and corpus are the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from corpus_traffic import Conversation, Said, conversations, first_seq, judged

from ocpp_proxy.core.finding import Finding

SEED = 20261121
COUNT = 20
SHOWN = 400  # characters of a frame


def sample(corpus: Path, seed: int = SEED, count: int = COUNT) -> Iterator[str]:
    """A few lines for each finding. Frames that were cut or changed by whoever pasted them are left out: what is wrong
    with them is no one's fault."""
    talks = {one.name: one for one in conversations(corpus)}
    errors = [
        finding for finding in judged(talks.values())[1]
        if finding.severity == "error" and not _maimed(finding, talks[finding.connection])
    ]  # fmt: skip
    chosen = Random(seed).sample(errors, min(count, len(errors)))
    yield f"{len(chosen)} of {len(errors)} errors, seed {seed}"
    for number, finding in enumerate(chosen, 1):
        yield _told(number, finding, talks[finding.connection])


def _by_seq(talk: Conversation) -> dict[int, Said]:
    return dict(enumerate(talk.said, first_seq(talk)))


def _maimed(finding: Finding, talk: Conversation) -> bool:
    said = _by_seq(talk)
    return any(said[seq].maimed for seq in finding.frames)


def _told(number: int, finding: Finding, talk: Conversation) -> str:
    said = _by_seq(talk)
    ids = ", ".join(str(said[seq].id) for seq in finding.frames)
    others = ", ".join(str(said[seq].id) for _, seq in finding.evidence if seq not in finding.frames)
    lines = [
        f"{number}. {finding.rule}, by the {finding.at_fault}, OCPP {talk.version}, {talk.name}",
        f"   frame {ids}" + (f" (see also {others})" if others else ""),
        f"   {finding.message}" + (f" (at {finding.pointer})" if finding.pointer else ""),
    ]
    return "\n".join(lines + [f"   {' '.join(said[seq].raw.split())[:SHOWN]}" for seq in finding.frames[:1]])


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--count", type=int, default=COUNT)
    chosen = options.parse_args()
    corpus = os.environ.get("OCPP_CORPUS")
    if corpus is None:
        options.error("OCPP_CORPUS does not name the reference corpus")
    for text in sample(Path(corpus), chosen.seed, chosen.count):
        sys.stdout.write(f"{text}\n\n")


if __name__ == "__main__":
    main()

"""A sound rule file to be broken."""

import pytest

SOUND = """\
title: Heartbeat in the morning
severity: warning
axis: compatibility
what: A heartbeat comes.
why: It wakes people.
fix: Sleep well.
references:
  - {document: House rules, section: "1", strength: wish}
given: {kind: call, action: Heartbeat, caller: station}
checks:
  - in: request
    field: /quiet
    expect: present
message: Not quiet (field {state})
tests:
  - name: loud
    version: "1.6"
    frames:
      - station: [2, "1", Heartbeat, {}]
    findings:
      - {message: Not quiet (field absent)}
"""


@pytest.fixture
def rule_file(tmp_path):
    """Writes the sound rule with some of its text replaced, and gives its path."""

    def write(*replacements, name="house-heartbeat.yaml", text=SOUND):
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write

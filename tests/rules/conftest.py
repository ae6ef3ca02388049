"""Rules made in code."""

import pytest

from ocpp_proxy.rules.model import rule_from


@pytest.fixture
def make_rule():
    """A rule from the keys that matter; the others are filled in."""

    def make(rule_id, **keys):
        document = {
            "title": "T", "severity": "warning", "axis": "conformance", "what": "W", "why": "W", "fix": "F",
            "references": [{"document": "D", "section": "1", "strength": "shall"}],
            "message": "{field} is {state}", "tests": [],
        }  # fmt: skip
        return rule_from(rule_id, document | keys, "bundled")

    return make

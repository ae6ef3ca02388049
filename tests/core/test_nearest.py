"""The word that was meant."""

from __future__ import annotations

import pytest

from ocpp_proxy.core.nearest import nearest

UNITS = ["Wh", "kWh", "varh", "W", "kW", "A", "V", "Celsius", "Celcius", "Hertz", "Percent"]
CODES = ["ConnectorLockFailure", "InternalError", "NoError", "OtherError", "GroundFailure"]


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("Hz", UNITS, "Hertz"), ("wh", UNITS, "Wh"), ("percent", UNITS, "Percent"), ("Celzius", UNITS, "Celsius"),
        ("Error", CODES, "OtherError"), ("groundfailure", CODES, "GroundFailure"), ("Noerror", CODES, "NoError"),
        ("Hz", ["Ampere"], None), ("Error", ["Sunshine"], None), ("SomethingElse", UNITS, None), ("", CODES, None),
        ("x" * 100_000, CODES, None), ("Hertz", [], None),
    ],
)  # fmt: skip
def test_nearest(word: str, candidates: list[str], meant: str | None) -> None:
    assert nearest(word, candidates) == meant

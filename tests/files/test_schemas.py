"""The schema files as they come out of the package, with the overlay applied, and what the docs say of it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.schemas import load_schema, overlay

DOCS = Path(__file__).parents[2] / "docs" / "schemas.md"


def untouched(name: str) -> Any:
    return json.loads((resources.files("ocpp") / "v16" / "schemas" / f"{name}.json").read_text(encoding="utf-8-sig"))


def stop(**sample: str) -> dict[str, Any]:
    values = [{"timestamp": "2026-11-21T09:00:00Z", "sampledValue": [{"value": "50"} | sample] if sample else []}]
    return {"transactionId": 1, "timestamp": "2026-11-21T09:00:00Z", "meterStop": 1, "transactionData": values}


def rules(action: str, payload: Any) -> list[str]:
    return [error.rule for error in Schemas(load_schema).check("1.6", action, "request", payload)]


def test_files_without_a_correction_are_those_of_the_package() -> None:
    assert load_schema("1.6", "Heartbeat") == untouched("Heartbeat")
    assert load_schema("1.6", "StopTransaction") != untouched("StopTransaction")


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_what_is_not_there_is_none(version: Version) -> None:
    assert load_schema(version, "NoSuchThing") is None


def test_hertz_is_a_unit_in_both_places() -> None:
    assert rules("StopTransaction", stop(measurand="Frequency", unit="Hertz")) == []
    assert rules("StopTransaction", stop(measurand="Frequency", unit="Hz")) == ["schema-enum"]
    assert rules("MeterValues", {"connectorId": 1, "meterValue": stop(unit="Hertz")["transactionData"]}) == []


def test_both_spellings_of_celsius_are_legal_in_both_places() -> None:
    for unit in ("Celsius", "Celcius"):
        assert rules("StopTransaction", stop(unit=unit)) == []
        assert rules("MeterValues", {"connectorId": 1, "meterValue": stop(unit=unit)["transactionData"]}) == []


def test_sampled_values_may_not_be_missing_in_either_place() -> None:
    assert rules("StopTransaction", stop()) == ["schema-other"]
    assert rules("MeterValues", {"connectorId": 1, "meterValue": stop()["transactionData"]}) == ["schema-other"]


def test_a_reason_is_not_required() -> None:
    assert "reason" not in load_schema("1.6", "StopTransaction")["required"]  # type: ignore[index]


@pytest.mark.parametrize("correction", overlay(), ids=lambda correction: correction["id"])
def test_every_correction_is_still_needed_and_explained(correction: dict[str, Any]) -> None:
    assert set(correction) == {"id", "version", "schema", "op", "path", "value", "reason", "source"}
    assert correction["op"] == "add"
    assert correction["version"] == "1.6"
    *way, last = correction["path"].split("/")[1:]
    here = untouched(correction["schema"])
    for step in way:
        here = here[step]
    assert correction["value"] not in here if last == "-" else last not in here
    docs = DOCS.read_text(encoding="utf-8")
    for told in (correction["id"], correction["reason"], correction["source"]):
        assert told in docs


def test_the_overlay_applies_to_its_file_alone() -> None:
    changed = {(correction["version"], correction["schema"]) for correction in overlay()}
    assert changed == {("1.6", "StopTransaction")}

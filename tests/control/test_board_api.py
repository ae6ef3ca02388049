"""What can be asked: stations, messages, findings, captures, figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

from control_parts import Parts, served
from prometheus_client.parser import text_string_to_metric_families

from ocpp_proxy import __version__

BOOT = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M","firmwareVersion":"1.2"}]'
ACCEPTED = '[3,"1",{"status":"Accepted","currentTime":"2026-11-18T19:06:40Z","interval":300}]'


def told() -> Parts:
    """A station that booted, told a status and has a Call open; one that was refused; one that left."""
    parts = Parts()
    parts.open(station_address="192.0.2.7:40112")
    parts.say(BOOT)
    parts.say(ACCEPTED, "csms")
    parts.say('[2,"2","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]')
    parts.say('[3,"2",{}]', "csms")
    parts.say('[2,"3","Heartbeat",{}]')
    parts.say("", "station", opcode="ping")
    parts.open("CP2", "c2", status=401)
    parts.open("CP3", "c3", subprotocol="ocpp2.0.1")
    parts.say('[2,"1","StatusNotification",{"timestamp":"2026-11-18T19:06:40Z","connectorStatus":"Occupied","evseId":1,'
              '"connectorId":2}]', connection="c3")
    parts.close("c3")
    return parts


def test_stations_and_their_state(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, told()) as api:
            one, two, three = (await api.get("/v1/stations"))["stations"]
            assert one == await api.get("/v1/stations/CP1")
            assert (one["station"], one["connected"], one["connection"], one["version"]) == ("CP1", True, "c1", "1.6")
            assert (one["frames"], one["open_calls"]) == (5, 1)
            assert one["last_heard"] > one["since"]
            assert one["registration"] == {"status": "Accepted", "interval_s": 300}
            assert one["device"] == {"vendor": "V", "model": "M", "serial": None, "firmware": "1.2"}
            assert one["connectors"] == [{"evse": None, "connector": 1, "status": "Available", "error": "NoError"}]
            [link] = one["connections"]
            assert (link["station_address"], link["subprotocol"]) == ("192.0.2.7:40112", "ocpp1.6")
            [call] = link["open_calls"]
            assert (call["caller"], call["action"], call["injected"]) == ("station", "Heartbeat", False)
            assert (two["connected"], two["refused_so_far"], two["registration"]) == (False, 1, None)
            assert three["connectors"] == [{"evse": 1, "connector": 2, "status": "Occupied", "error": None}]
            assert three["last_closed"]["code"] == 1000
            assert three["open_calls"] == 0

    asyncio.run(story())


def test_an_identity_may_hold_what_has_to_be_quoted(tmp_path: Path) -> None:
    parts = Parts()
    parts.open("CP%201")

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            assert (await api.get("/v1/stations/CP%25201"))["station"] == "CP%201"
            missing = await api.client.get("/v1/stations/CP%201")
            assert (missing.status_code, missing.json()["why"]) == (404, "unknown-station")

    asyncio.run(story())


def test_messages_are_the_last_ones_or_those_after_a_number(tmp_path: Path) -> None:
    parts = told()
    parts.open("CP1", "c4")
    parts.say(BOOT, connection="c4")

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            path = "/v1/stations/CP1/messages"
            messages = (await api.get(path))["messages"]
            assert [(one["connection"], one["seq"]) for one in messages] == [
                ("c1", 1), ("c1", 2), ("c1", 3), ("c1", 4), ("c1", 5), ("c4", 1)]
            assert messages[0]["data"] == BOOT
            assert (messages[0]["type"], messages[0]["action"], messages[0]["message_id"]) == (
                "call", "BootNotification", "1")
            assert (messages[1]["type"], messages[1]["action"], messages[1]["latency_ms"]) == (
                "result", "BootNotification", 10.0)
            assert [one["seq"] for one in (await api.get(f"{path}?limit=2"))["messages"]] == [5, 1]
            assert [one["connection"] for one in (await api.get(f"{path}?after=0"))["messages"]] == ["c4"]
            after = await api.get(f"{path}?after=2&connection=c1&limit=2")
            assert [one["seq"] for one in after["messages"]] == [3, 4]

    asyncio.run(story())


def test_findings_by_station_and_severity(tmp_path: Path) -> None:
    parts = told()
    for number in (7, 8):
        parts.say(f'[2,"{number}","BootNotification",{{"chargePointVendor":"V"}}]')

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            found = (await api.get("/v1/findings?station=CP1&severity=error"))["findings"]
            assert {one["severity"] for one in found} == {"error"}
            [missing] = [one for one in found if one["rule"] == "schema-required"]
            assert (missing["pointer"], missing["count"]) == ("/chargePointModel", 2)
            assert (await api.get("/v1/findings?station=CP9"))["findings"] == []
            assert len((await api.get("/v1/findings?limit=1"))["findings"]) == 1
            misspelt = await api.client.get("/v1/findings?sation=CP9")
            assert (misspelt.status_code, misspelt.json()["reason"]) == (
                422, "the query has an unknown parameter; known here: station, severity, limit")

    asyncio.run(story())


def test_captures_run_and_health(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"x" * 10)
    parts = told()
    parts.recorded = False

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            [capture] = (await api.get("/v1/captures"))["captures"]
            assert capture == {"path": str(tmp_path / "x.db"), "size_bytes": 10, "frames": 7, "gaps": 0, "lost": 0,
                               "complete": False}
            run = await api.get("/v1/run")
            assert (run["injection_allowed"], run["panicked"], run["listen"]) == (True, False, ["ws://127.0.0.1:9000"])
            health = await api.client.get("/health", headers={"Authorization": ""})
            assert (health.json()["version"], health.json()["recorded"]) == (__version__, False)

    asyncio.run(story())


def test_metrics_are_what_prometheus_reads(tmp_path: Path) -> None:
    parts = told()
    parts.say('[2,"1","BootNotification",{"chargePointVendor":"V"}]')

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            answer = await api.client.get("/metrics")
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        samples = {(sample.name, *sorted(sample.labels.values())): sample.value
                   for family in families.values() for sample in family.samples}
        assert samples["ocpp_proxy_frames_total", "message", "station"] == 5
        assert samples["ocpp_proxy_frames_total", "control", "station"] == 1
        assert samples["ocpp_proxy_findings_total", "error"] >= 1
        assert samples["ocpp_proxy_open_connections",] == 1
        assert samples["ocpp_proxy_refused_handshakes_total",] == 1
        assert samples["ocpp_proxy_answer_seconds_bucket", "0.01", "station"] == 2
        assert samples["ocpp_proxy_answer_seconds_count", "station"] == 2
        assert samples["ocpp_proxy_fully_recorded",] == 1
        assert families["ocpp_proxy_answer_seconds"].type == "histogram"

    asyncio.run(story())


def test_a_capture_with_its_secrets_is_shown_without_them(tmp_path: Path) -> None:
    parts = Parts(keep_secrets=True)
    parts.open()
    parts.say('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"geheim-geheim-1234"}]', "csms")

    async def story() -> None:
        async with served(tmp_path, parts) as api:
            [message] = (await api.get("/v1/stations/CP1/messages"))["messages"]
            assert '"value":"******************"' in message["data"]

    asyncio.run(story())

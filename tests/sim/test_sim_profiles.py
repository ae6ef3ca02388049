import pytest

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.profiles import Profiles, parse

NOW = Instant.parse("2026-11-21T10:00:00Z")


def profile(identifier=1, *, limit=10.0, stack=0, purpose="TxDefaultProfile", kind="Absolute", unit="A",
            periods=None, start="2026-11-21T00:00:00Z", **more):
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods or [{"startPeriod": 0, "limit": limit}]}
    if kind != "Relative":
        schedule["startSchedule"] = start
    if "duration" in more:
        schedule["duration"] = more.pop("duration")
    return {"chargingProfileId": identifier, "stackLevel": stack, "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind, "chargingSchedule": schedule} | more


def limit(*given, connector=1, at=NOW, began=None):
    profiles = Profiles()
    if began:
        profiles.transaction_began(1, began)
    for one, place in given:
        profiles.add(parse(one, place))
    return profiles.limit_a(connector, at)


def test_without_a_profile_the_station_gives_what_it_has():
    assert limit() == 16.0


def test_the_higher_stack_level_counts():
    assert limit((profile(1, limit=10, stack=1), 0), (profile(2, limit=8, stack=2), 0)) == 8


def test_a_transactions_own_profile_counts_before_the_default():
    assert limit((profile(1, limit=10, stack=5), 0), (profile(2, limit=7, purpose="TxProfile"), 1)) == 7


@pytest.mark.parametrize("purpose", ["ChargePointMaxProfile", "ChargingStationMaxProfile"])
def test_the_stations_maximum_caps_everything(purpose):
    assert limit((profile(1, limit=15), 0), (profile(2, limit=9, purpose=purpose), 0)) == 9


def test_a_profile_of_another_connector_does_not_count():
    assert limit((profile(limit=8), 2)) == 16
    assert limit((profile(limit=8), 2), connector=2) == 8


def test_watts_are_divided_over_three_phases():
    assert limit((profile(limit=6900.0, unit="W"), 1)) == 10


def test_a_relative_profile_counts_from_the_transactions_start():
    periods = [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 600, "limit": 12.0}]
    given = (profile(kind="Relative", periods=periods), 1)
    assert limit(given) == 16
    assert limit(given, began=NOW) == 6
    assert limit(given, began=Instant(NOW.utc_us - 700_000_000)) == 12


def test_a_recurring_profile_comes_back_every_day():
    night = profile(kind="Recurring", recurrencyKind="Daily", start="2026-11-01T22:00:00Z", duration=3600, limit=7.0)
    assert limit((night, 1)) == 16
    assert limit((night, 1), at=Instant.parse("2026-11-21T22:30:00Z")) == 7
    assert limit((night, 1), at=Instant.parse("2026-11-21T23:30:00Z")) == 16


def test_outside_its_validity_a_profile_does_not_count():
    assert limit((profile(validTo="2026-11-21T09:59:59Z"), 1)) == 16
    assert limit((profile(validFrom="2026-11-21T10:00:01Z"), 1)) == 16
    assert limit((profile(validFrom="not a time"), 1)) == 10


def test_the_composite_schedule_tells_every_change():
    profiles = Profiles()
    periods = [{"startPeriod": 0, "limit": 10.0}, {"startPeriod": 36_600, "limit": 8.0}]
    profiles.add(parse(profile(periods=periods), 1))
    assert profiles.schedule(1, NOW, 1800, "A") == [
        {"startPeriod": 0, "limit": 10.0}, {"startPeriod": 600, "limit": 8.0}]
    assert profiles.schedule(1, NOW, 300, "W") == [{"startPeriod": 0, "limit": 6900.0}]


def test_the_same_place_holds_one_profile():
    profiles = Profiles()
    profiles.add(parse(profile(1), 1))
    profiles.add(parse(profile(2), 1))
    assert len(profiles) == 1
    profiles.add(parse(profile(2, stack=3), 2))
    assert [one.connector for one in profiles.find()] == [2]


def test_clearing_takes_what_matches():
    profiles = Profiles()
    for number, place in ((1, 0), (2, 1), (3, 2)):
        profiles.add(parse(profile(number), place))
    assert profiles.clear(connector=9) is False
    assert profiles.clear(identifier=1, connector=2) is True
    assert [one.identifier for one in profiles.find()] == [2, 3]
    assert profiles.clear(purpose="TxDefaultProfile") is True
    assert len(profiles) == 0


def test_a_schedule_of_2x_is_read_too():
    given = profile(limit=9.0)
    given["id"] = given.pop("chargingProfileId")
    given["chargingSchedule"] = [given["chargingSchedule"] | {"id": 1}]
    assert parse(given, 1).identifier == 1
    assert limit((given, 1)) == 9

"""Repetitions: what is said of a station that comes again and again."""

from __future__ import annotations

import pytest
from relay_peers import LOOPS, Closed, listening, relaying, request, run, switching

from ocpp_proxy.relay.notices import SENTENCES_MAX, STATIONS_MAX, Notices

every_loop = pytest.mark.parametrize("loop", LOOPS)


@every_loop
def test_a_station_that_retries_against_a_dead_csms_is_named_at_powers_of_ten(loop: str) -> None:
    async def main() -> None:
        async with listening() as gone:
            port = gone.port
        async with relaying(port) as relay:
            for count in range(1, 13):
                station = await relay.ask(request())
                await station.end()
                await relay.recording.until(Closed, count)
            assert len(relay.notices) == 2
            assert "refused" in relay.notices[0]
            assert "times" not in relay.notices[0]
            assert relay.notices[1].endswith("(10 times now)")
            await (await relay.ask(request("/ocpp/CP2"))).end()
            assert len(relay.notices) == 3

    run(loop, main())


@every_loop
def test_after_a_success_the_same_trouble_is_news(loop: str) -> None:
    async def main() -> None:
        async with listening() as csms, relaying(csms.port) as relay:
            for count in range(1, 5):
                station = await relay.ask(request())
                upstream = await csms.accept()
                if count == 3:
                    upstream.send(switching())
                    await station.head()
                    station.hang_up()
                else:
                    upstream.hang_up()
                    await station.end()
                await relay.recording.until(Closed, count)
            assert len(relay.notices) == 2

    run(loop, main())


def test_what_is_said_when() -> None:
    said: list[str] = []
    notices = Notices(said.append)
    for count in range(1, 1001):
        notices.say("CP1", "no", f"{count}: ")
    assert said == ["1: no", "10: no (10 times now)", "100: no (100 times now)", "1000: no (1000 times now)"]


def test_neither_stations_nor_their_troubles_pile_up() -> None:
    said: list[str] = []
    notices = Notices(said.append)
    for number in range(STATIONS_MAX + 1):
        notices.say(f"CP{number}", "no")
    said.clear()
    notices.say("CP0", "no")  # forgotten, and so is CP1 now
    notices.say("CP2", "no")
    assert said == ["no"]
    for number in range(SENTENCES_MAX):
        notices.say("CP2", f"{number}")
    said.clear()
    notices.say("CP2", "no")
    notices.say("CP2", f"{SENTENCES_MAX - 1}")
    assert said == ["no"]

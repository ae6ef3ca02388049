"""What a CSMS that is reached says: whom it lets in, subprotocols, compression, pings, clock."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from doctor_csms import CANARY, CLOSE, LOOPS, PING, Asked, http, run, switching, visited

from ocpp_proxy.doctor.request import SUBPROTOCOLS

KEY = "0123456789abcdef0123456789ABCDEF01234567"
BASIC = "WWW-Authenticate: Basic realm=\"OCPP\""


def refusing(status: str, *headers: str, **more: str):
    return lambda _: http(status, *headers, **more)


# -- everything is well


@pytest.mark.parametrize("loop", LOOPS)
def test_all_is_well(loop: str) -> None:
    found, came = run(visited(switching), loop)
    assert found.wrong == []
    assert [step.seen for step in found.all("subprotocol")] == [f"{name} is spoken" for name in SUBPROTOCOLS]
    assert "it chooses ocpp1.6" in found.one("upgrade").seen
    assert "made-up identity doctor-" in found.one("auth").seen
    assert found.one("ping").seen.startswith("pong after ")
    assert found.one("clock").ok is True
    assert [asked.offered for asked in came] == [
        [*SUBPROTOCOLS], *([name] for name in SUBPROTOCOLS), [*SUBPROTOCOLS]
    ]
    assert {asked.target for asked in came} == {came[0].target}
    assert came[0].target.startswith("/ocpp/doctor-")
    assert len({asked.headers["sec-websocket-key"] for asked in came}) == len(came)


def test_it_sends_no_ocpp_and_closes_with_1000() -> None:
    _, came = run(visited(switching))
    frames = [asked.frames for asked in came]
    assert [[opcode for opcode, _ in one] for one in frames] == [[CLOSE]] * 4 + [[PING, CLOSE]]
    assert {one[-1] for one in frames} == {(CLOSE, b"\x03\xe8")}


def test_the_real_identity_is_put_where_run_puts_it() -> None:
    found, came = run(visited(switching, "/ocpp?tenant=7", identity="Säule 1/A"))
    assert found.wrong == []
    assert {asked.target for asked in came} == {"/ocpp/S%C3%A4ule%201%2FA?tenant=7"}
    _, came = run(visited(switching, "/ocpp/{station}/ws", identity="CP1"))
    assert came[0].target == "/ocpp/CP1/ws"


# -- credentials


def test_no_credentials_were_sent() -> None:
    found, came = run(visited(refusing("401 Unauthorized", BASIC), identity="CP1"))
    found.refused("auth", "no credentials were sent: 401", 'Basic realm="OCPP"', "--password-file", "AuthorizationKey")
    found.refused("upgrade", "answers 401 Unauthorized", "see auth")
    found.not_tried("subprotocol", "compression", "ping")
    assert found.one("clock").ok is True
    assert len(came) == 1


def test_wrong_credentials() -> None:
    found, came = run(visited(refusing("401 Unauthorized"), identity="CP1", user="other", password=CANARY.encode()))
    step = found.refused("auth", "credentials of user other were sent", "401, the CSMS does not accept them (without ",
                         "compare user and password", "OCPP wants the identity CP1 as the user")
    assert "Basic" not in str(step.remedy)
    assert came[0].credentials == f"other:{CANARY}".encode()


def test_credentials_of_another_scheme() -> None:
    bearer = refusing("401 Unauthorized", "WWW-Authenticate: Bearer")
    found, _ = run(visited(bearer, identity="CP1", password=b"x" * 16))
    found.refused("auth", "(Bearer)", "does not ask for Basic authentication")


def test_the_right_password() -> None:
    found, came = run(visited(switching, identity="CP1", password=CANARY.encode()))
    assert found.wrong == []
    assert "CP1 is let in with its password" in found.one("auth").seen
    assert "readable by all" in found.one("auth").seen
    assert {asked.credentials for asked in came} == {f"CP1:{CANARY}".encode()}


def test_no_password_is_wanted() -> None:
    found, _ = run(visited(switching, identity="CP1"))
    assert "CP1 is let in without credentials" in found.one("auth").seen


def wanting(*passwords: bytes, subprotocol: str | None = "first"):
    def answer(asked: Asked) -> bytes:
        if asked.credentials in [b"CP1:" + password for password in passwords]:
            return switching(asked, subprotocol=subprotocol if subprotocol in ("first", *asked.offered) else None)
        return http("401 Unauthorized", BASIC)

    return answer


def test_a_key_that_is_wanted_as_bytes() -> None:
    found, came = run(visited(wanting(bytes.fromhex(KEY)), identity="CP1", password=KEY.encode()))
    assert found.wrong == []
    assert "let in with the key as its 20 bytes, and not with it as text (401)" in found.one("auth").seen
    assert "sends its 40 digits as they stand" in found.one("auth").seen
    assert came[0].credentials == b"CP1:" + bytes.fromhex(KEY)
    assert came[1].credentials == b"CP1:" + KEY.encode()
    assert {asked.credentials for asked in came[2:]} == {b"CP1:" + bytes.fromhex(KEY)}


def test_a_key_that_is_wanted_as_text() -> None:
    found, came = run(visited(wanting(KEY.encode()), identity="CP1", password=KEY.encode()))
    found.refused("auth", "let in with the key as text, and not with it as its 20 bytes (401)",
                  "have the operator store the key as those bytes")
    assert found.wrong == ["auth"]
    assert {asked.credentials for asked in came[2:]} == {b"CP1:" + KEY.encode()}
    found, _ = run(visited(wanting(KEY.encode(), subprotocol="ocpp2.0.1"), identity="CP1", password=KEY.encode()))
    assert "so OCPP 2.x wants it" in found.one("auth").seen
    assert found.wrong == []


def test_a_key_in_either_form_and_in_none() -> None:
    found, _ = run(visited(wanting(KEY.encode(), bytes.fromhex(KEY)), identity="CP1", password=KEY.encode()))
    assert "in either form" in found.one("auth").seen
    found, came = run(visited(wanting(), identity="CP1", password=KEY.encode()))
    found.refused("auth", "the key both as its 20 bytes and as text: 401")
    assert len(came) == 2


def test_forbidden() -> None:
    found, _ = run(visited(refusing("403 Forbidden"), identity="CP1"))
    found.refused("auth", "403, the CSMS does not let CP1 in", "blocked", "only certain addresses")
    found.refused("upgrade", "answers 403 Forbidden")


def test_not_found() -> None:
    found, _ = run(visited(refusing("404 Not Found"), "/ocpp?token=geheim", identity="CP1"))
    found.refused("upgrade", "answers 404 Not Found for /ocpp/CP1?token=******", "does not know the station CP1",
                  "or the path is wrong")
    found.not_tried("auth")
    found, _ = run(visited(refusing("404 Not Found"), "/ocpp/CP1", identity="CP1"))
    found.refused("upgrade", "the URL ends in CP1 already")


@pytest.mark.parametrize(("status", "words"), [
    ("401 Unauthorized", "which is right for a stranger"),
    ("403 Forbidden", "turns a stranger away with 403"),
    ("404 Not Found", "404 means either that no station doctor-"),
    ("404 Not Found", "the URL has to end before the identity"),
])
def test_a_made_up_identity_that_is_refused_proves_nothing(status: str, words: str) -> None:
    found, _ = run(visited(refusing(status)))
    assert found.wrong == []
    for name in ("upgrade", "auth"):
        assert found.one(name).ok is None
        assert "cannot be told" in found.one(name).seen
    assert words in found.one("auth").seen
    assert "--id" in found.one("auth").seen
    found.not_tried("subprotocol", "compression", "ping")


def test_other_refusals_count_for_a_made_up_identity_too() -> None:
    found, _ = run(visited(refusing("503 Service Unavailable")))
    assert found.wrong == ["upgrade"]


def test_what_the_csms_repeats_of_the_secrets_is_not_shown() -> None:
    def echo(asked: Asked) -> bytes:
        sent = f"{asked.headers['authorization']} {asked.credentials!r}"
        return http(f"401 {sent}", f"WWW-Authenticate: Basic realm={sent}", "Content-Type: text/plain", body=sent)

    for password in (CANARY, KEY):
        found, came = run(visited(echo, identity="CP1", password=password.encode()))
        told = str(found.steps)
        for asked in came:
            assert asked.headers["authorization"].split()[1] not in told
        assert password not in told
        assert "****" in told


# -- subprotocols


def test_one_subprotocol_is_enough() -> None:
    found, _ = run(visited(lambda asked: switching(
        asked, subprotocol="ocpp1.6" if "ocpp1.6" in asked.offered else None)))
    assert found.wrong == []
    one, *others = found.all("subprotocol")
    assert one.ok is True
    assert [other.ok for other in others] == [None, None]
    assert others[1].seen.startswith("ocpp2.1 is not spoken (it chose none)")


def test_a_csms_that_refuses_what_it_does_not_speak() -> None:
    found, _ = run(visited(lambda asked: switching(asked) if "ocpp2.0.1" in asked.offered else http("400 Bad Request")))
    assert found.wrong == []
    assert [step.ok for step in found.all("subprotocol")] == [None, True, None]
    assert "it answered 400" in found.all("subprotocol")[0].seen


def test_no_subprotocol_at_all() -> None:
    found, _ = run(visited(lambda asked: switching(asked, subprotocol=None)))
    assert found.wrong == ["subprotocol"] * 3
    assert "it chose none), nor is any other" in found.all("subprotocol")[0].seen
    assert "OCPP-J service" in str(found.all("subprotocol")[0].remedy)
    assert "it chooses none" in found.one("upgrade").seen


@pytest.mark.parametrize("name", ["ocpp1.6", "OCPP2.0.1", "chat", "ocpp1.6, ocpp2.0.1"])
def test_a_subprotocol_that_was_not_offered(name: str) -> None:
    found, _ = run(visited(lambda asked: switching(asked, subprotocol=name)))
    step = found.all("subprotocol")[1]
    assert step.ok is False
    assert step.seen == f"ocpp2.0.1 was offered alone, and the CSMS chose {name}, which stations must hang up on"
    assert "has to choose of those that were offered" in str(step.remedy)


# -- answers that agree in the wrong way


@pytest.mark.parametrize(("answer", "words"), [
    (lambda asked: switching(asked).replace(b"-Accept: ", b"-Accept: x"), "Sec-WebSocket-Accept"),
    (lambda asked: switching(asked).replace(b"Upgrade: websocket\r\n", b""), "Upgrade: websocket"),
    (lambda asked: switching(asked).replace(b"Connection: Upgrade", b"Connection: close"), "Connection: Upgrade"),
    (lambda asked: switching(asked, "Sec-WebSocket-Extensions: x-odd"), "an extension that it may not choose"),
    (lambda asked: switching(asked, "Sec-WebSocket-Extensions: permessage-deflate"), "may not choose"),
], ids=["accept", "upgrade", "connection", "extension", "unasked-deflate"])
def test_a_101_that_opens_nothing(answer, words: str) -> None:
    found, came = run(visited(answer))
    found.refused("upgrade", words)
    found.not_tried("subprotocol", "auth", "compression", "ping")
    assert came[0].frames == []


# -- compression, ping, clock


def deflating(value: str):
    return lambda asked: switching(
        asked, *([f"Sec-WebSocket-Extensions: {value}"] if "sec-websocket-extensions" in asked.headers else []))


def test_compression_declined_and_accepted() -> None:
    found, came = run(visited(switching))
    assert found.one("compression").ok is True
    assert "declined" in found.one("compression").seen
    assert came[-1].headers["sec-websocket-extensions"] == "permessage-deflate; client_max_window_bits"
    value = "permessage-deflate; server_max_window_bits=12"
    found, _ = run(visited(deflating(value), first=b"\xc1\x02\x00\x00"))
    assert found.wrong == []
    assert found.one("compression").seen.endswith(f"accepted: {value}")


@pytest.mark.parametrize("value", ["permessage-deflate; level=9", "permessage-bzip2", "permessage-deflate;;"])
def test_compression_that_cannot_be_read(value: str) -> None:
    found, _ = run(visited(deflating(value)))
    found.refused("compression", "an extension that it may not choose", "compression switched off")
    assert found.one("ping").ok is True


def test_compression_that_is_refused() -> None:
    found, _ = run(visited(lambda asked: http("400 Bad Request") if "sec-websocket-extensions" in asked.headers
                           else switching(asked)))
    found.refused("compression", "answered with 400, one without is not", "leave out what it does not know")
    assert found.one("ping").ok is True


def test_a_csms_that_has_had_enough() -> None:
    found, _ = run(visited(lambda asked: http("429 Too Many Requests") if "sec-websocket-extensions" in asked.headers
                           else switching(asked)))
    assert found.wrong == []
    assert found.one("compression").seen.startswith("cannot be told: the CSMS answered 429")
    assert found.one("ping").ok is True


def test_frames_of_the_csms_do_not_matter() -> None:
    call = b'[2,"1","TriggerMessage",{"requestedMessage":"BootNotification"}]'
    two_pongs = b"\x8a\x00\x8a\x03abc"
    found, came = run(visited(switching, identity="CP1", first=bytes((0x81, len(call))) + call + two_pongs))
    assert found.wrong == []
    assert [opcode for asked in came for opcode, _ in asked.frames if opcode not in (PING, CLOSE)] == []


def test_no_pong() -> None:
    found, _ = run(visited(switching, pongs=False, timeout_s=0.3))
    found.refused("ping", "no pong within 0.3 s", "WebSocketPingInterval")


@pytest.mark.parametrize("first", [b"\xf1\x00", b"\x81\x7f\x0f" + b"\xff" * 7], ids=["reserved-bits", "giant"])
@pytest.mark.parametrize("identity", [None, "CP1"])
def test_a_frame_that_breaks_the_protocol(first: bytes, identity: str | None) -> None:
    found, _ = run(visited(switching, identity=identity, first=first))
    found.refused("ping", "no pong: it broke the WebSocket protocol: ", "fault in the CSMS's WebSocket library")


@pytest.mark.parametrize(("first", "words"), [
    (b"\x88\x02\x03\xf0", "it closed with 1008"),
    (b"\x88\x00", "it closed with 1005"),
])
def test_a_connection_that_is_ended_at_once(first: bytes, words: str) -> None:
    found, _ = run(visited(switching, identity="CP1", first=first))
    found.refused("ping", words, "unknown or blocked")
    found, _ = run(visited(switching, first=first))
    assert found.one("ping").ok is None
    assert "its good right" in found.one("ping").seen


def test_a_csms_without_a_date() -> None:
    found, _ = run(visited(lambda asked: switching(asked, date=None)))
    found.not_tried("clock")
    assert found.one("clock").seen.endswith("no Date header")


@pytest.mark.parametrize("date", ["yesterday", "Wed, 99 Foo 2026 99:99:99 GMT", "", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_date_that_is_none(date: str) -> None:
    found, _ = run(visited(lambda asked: switching(asked, date=date)))
    assert found.one("clock").ok is not True


@pytest.mark.parametrize(("skew_s", "ok", "words"), [
    (0, True, "agree to the second"),
    (30, True, "s ahead of this computer's"),
    (-30, True, "s behind this computer's"),
    (3600, False, "about 60 min ahead of"),
    (-10800, False, "about 3 h behind"),
    (-20 * 365 * 86400, False, "about 7300 days behind"),
])
def test_skew(skew_s: int, ok: bool, words: str) -> None:
    found, _ = run(visited(lambda asked: switching(asked, date=formatdate(time.time() + skew_s, usegmt=True))))
    assert found.one("clock").ok is ok
    assert words in found.one("clock").seen
    if not ok:
        assert "NTP" in str(found.one("clock").remedy)


def test_the_clock_is_told_by_a_refusal_too() -> None:
    found, _ = run(visited(refusing("401 Unauthorized", date=formatdate(time.time() + 900, usegmt=True))))
    found.refused("clock", "about 15 min ahead")

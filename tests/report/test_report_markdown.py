"""What is sent to a maker or a CSMS team."""

import pytest
from report_capture import LINES, frame

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import FrameRecord
from ocpp_proxy.report import as_markdown
from ocpp_proxy.report.analysis import digest, quoted
from ocpp_proxy.report.as_markdown import Source
from ocpp_proxy.report.confidential import Tokens
from ocpp_proxy.report.grouping import deviations

SOURCE = Source("ocpp-proxy 9", "ab" * 32)


@pytest.fixture
def written(analysed):
    def write(lines=LINES, **more):
        path, analysis = analysed(lines, **more)
        found, tokens = deviations(analysis.findings), Tokens()
        frames = quoted(path, as_markdown.wanted(found), tokens.learn)
        return "\n".join(as_markdown.report(analysis, found, frames, tokens, SOURCE))

    return write


def section(text, title):
    return text.split(f". {title}\n")[1].split("\n### ")[0].split("\n## ")[0]


def test_it_says_what_a_stranger_needs(written):
    text = written()
    assert "## Station CP001 (Wall Box CPB1, firmware 4.3.6, OCPP 1.6)" in text
    assert "## CSMS, towards station CP001 (Wall Box CPB1, firmware 4.3.6, OCPP 1.6)" in text
    assert SOURCE.digest in text
    assert "no certification" in text
    part = section(text, "Field that the message does not have")
    for phrase in ("`schema-additional` (error", "- Clause: OCPP-J 1.6", "- Seen: ", "- Expected: idTag",
                   "- How often: 2 times", "- Why it matters: ", "- Usual cause: ", "- What to do: ",
                   "> Your station (Wall Box CPB1, firmware 4.3.6, OCPP 1.6) deviates from OCPP-J 1.6"):
        assert phrase in part, phrase


def test_the_frame_at_fault_is_marked_among_those_before_and_after(written):
    quotes = section(written(), "Field that the message does not have").split("```")[1].splitlines()[1:]
    assert [line[:1] for line in quotes] == [" ", " ", ">", " ", " "]
    assert quotes[2].startswith("> 2026-11-21T09:00:03.000Z #3 station: [2,")


def test_tokens_are_named_alike_wherever_they_stand(written):
    text = written()
    assert "04A1B2C3D4" not in text.upper()
    assert "GROUP" not in text
    assert '"idTag":"<token 1>","x":"<token 1>"' in text
    assert '"parentIdTag":"<token 2>"' in text


def test_a_wish_is_no_accusation(written):
    part = section(written(), "BootNotification without an ICCID")
    assert "a wish beyond the specification" in part
    assert "keeps to the specification here, but we wish for more: No ICCID" in part


def test_what_a_peer_sent_does_not_become_markup(written):
    lines = [LINES[0], frame(1, "station", 2, "1", "Heartbeat", {"a*b_<i>`": "```\n# x"})]
    text = written(lines)
    assert "a\\*b\\_\\<i\\>\\`" in text
    assert text.count("```") == 2


def test_nothing_to_say_is_said(written):
    assert "Nothing to find fault with." in written([LINES[0], frame(1, "station", 2, "1", "Heartbeat", {})])


def test_a_long_frame_is_cut_and_a_long_way_between_two_frames_too(written):
    long = [LINES[0], frame(1, "station", 2, "1", "Heartbeat", {"y" * 3000: 1})]
    assert "characters more)" in written(long)
    overlapping = [LINES[0], *(frame(n, "station", 2, str(n), "Heartbeat", {}) for n in range(1, 30))]
    quotes = written(overlapping).split("```")[1].splitlines()[1:]
    assert len(quotes) <= as_markdown.QUOTED_MOST


def test_the_digest_is_of_the_file_and_of_none_that_is_still_written(tmp_path):
    path = tmp_path / "x.db"
    assert digest(path) is None
    path.write_bytes(b"abc")
    assert digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.with_name("x.db-wal").touch()
    assert digest(path) is None


def record(text):
    return FrameRecord(connection="c1", seq=1, at=Instant(0), sender="station", to="csms", opcode="text",
                       data=text.encode())


def test_a_short_token_is_hidden_only_where_it_is_called_one():
    tokens = Tokens()
    tokens.learn(record('[2,"1","Authorize",{"idTag": "7"}]'))
    assert tokens.masked('{"idTag": "7","n":7} frame 7') == '{"idTag": "<token 1>","n":7} frame 7'


def test_an_id_token_of_2x_is_one_too():
    tokens = Tokens()
    tokens.learn(record('[2,"1","Authorize",{"idToken":{"idToken":"AB-CD.99","type":"Central"}}]'))
    assert tokens.masked("idTag ab-cd.99 was refused, AB-CD.999 was not") == (
        "idTag <token 1> was refused, AB-CD.999 was not")
    assert tokens.masked(tokens.masked('{"idToken":"AB-CD.99"}')) == '{"idToken":"<token 1>"}'

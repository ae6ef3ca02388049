"""The same deviation again is a count, not another finding."""

from ocpp_proxy.core.finding import FRAMES_KEPT, Finding
from ocpp_proxy.rules.book import OTHER_VALUES, PLACES_KEPT, VALUES_KEPT, FindingBook, Found


def found(seq=1, variant=None, **fields):
    given = {"rule": "r", "severity": "warning", "axis": "conformance", "at_fault": "station", "station": "S",
             "connection": "c1", "message": "m", "pointer": "/a", "seen": 1}
    return Found(Finding(**(given | fields), frames=[seq], evidence=[("c1", seq)]), variant)


def test_the_same_again_raises_the_counter():
    book = FindingBook()
    first, new = book.enter(found(1))
    again, new_again = book.enter(found(2))
    assert (new, new_again) == (True, False)
    assert again is first
    assert (first.count, first.frames, first.evidence) == (2, [1, 2], [("c1", 1)])


def test_another_rule_place_value_connection_or_side_is_another_finding():
    book = FindingBook()
    different = [{}, {"rule": "s"}, {"pointer": "/b"}, {"seen": 2}, {"connection": "c2"}, {"at_fault": "csms"},
                 {"connector": 2}, {"transaction": 7}, {"message": "n"}, {"seen": "1"}]
    assert all(book.enter(found(**fields))[1] for fields in different)
    assert len(book.findings()) == len(different)


def test_a_message_that_names_a_passing_detail_does_not_tell_findings_apart():
    book = FindingBook()
    book.enter(found(1, "id-not-string", message="the id is 1"))
    finding, new = book.enter(found(2, "id-not-string", message="the id is 2"))
    assert not new
    assert finding.message == "the id is 1"
    assert book.enter(found(3, "id-empty", message="the id is empty"))[1]


def test_a_hundred_frames_and_the_last_are_kept_and_the_count_is_exact():
    book = FindingBook()
    for seq in range(1, 251):
        finding, _ = book.enter(found(seq))
    assert finding.count == 250
    assert finding.frames == [*range(1, FRAMES_KEPT + 1), 250]
    assert finding.frames_omitted == 250 - FRAMES_KEPT - 1


def test_a_repetition_may_be_graver_but_not_milder():
    book = FindingBook()
    book.enter(found(1))
    finding, _ = book.enter(found(2, severity="error", axis="compatibility", references=("D",)))
    assert (finding.severity, finding.axis, finding.references) == ("error", "compatibility", ("D",))
    finding, _ = book.enter(found(3, severity="info"))
    assert (finding.severity, finding.count) == ("error", 3)
    assert book.counts() == {"error": 1}


def test_endless_values_at_one_place_are_counted_together():
    book = FindingBook()
    for value in range(3 * VALUES_KEPT):
        book.enter(found(value + 1, seen=value))
    findings = book.findings()
    assert len(findings) == VALUES_KEPT + 1
    (rest,) = [finding for finding in findings if finding.message == OTHER_VALUES]
    assert (rest.pointer, rest.seen, rest.count) == ("/a", None, 2 * VALUES_KEPT)
    assert sum(finding.count for finding in findings) == 3 * VALUES_KEPT
    assert book.enter(found(1, seen=0))[0].count == 2


def test_endless_places_of_a_rule_are_counted_together():
    book = FindingBook()
    for number in range(PLACES_KEPT + 50):
        book.enter(found(number + 1, pointer=f"/{number}"))
    findings = book.findings()
    assert len(findings) == PLACES_KEPT + 1
    assert [finding.count for finding in findings if finding.pointer is None] == [50]
    assert book.enter(found(1, rule="another"))[1]


def test_findings_are_ordered_by_connection_first_frame_rule_and_pointer():
    book = FindingBook()
    wanted = [("c2", 1, "b", "/a"), ("c2", 1, "b", "/b"), ("c2", 2, "a", "/a"), ("c10", 1, "a", "/a")]
    for connection, seq, rule, pointer in reversed(wanted):
        book.enter(found(seq, connection=connection, rule=rule, pointer=pointer))
    assert [(one.connection, one.frames[0], one.rule, one.pointer) for one in book.findings()] == wanted


def test_a_forgotten_connection_leaves_the_others():
    book = FindingBook()
    book.enter(found(connection="c1"))
    book.enter(found(connection="c2"))
    book.forget("c1")
    book.forget("c3")
    assert [finding.connection for finding in book.findings()] == ["c2"]

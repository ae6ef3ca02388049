"""The one door: records go in, events come out.

Live relay, check of a capture and tests feed their records here, in order, and hear what there is to say. Decides what
is known of each connection and its station, and what is counted. Refuses to know where records come from and what the
time is: it comes with the records, so that the same records give the same events.

A connection costs little until something happens on it, and nothing once it is closed, but for its findings.

Source: OCPP-J 1.6 chapter 3 and OCPP 2.0.1 Part 4 chapter 3 (the subprotocol decides the version).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ocpp_proxy.core.event import ConnectionClosed, ConnectionOpened, Event, FindingRaised, FrameSeen, GapSeen
from ocpp_proxy.core.exchange import Exchange
from ocpp_proxy.core.finding import Finding
from ocpp_proxy.core.frame import OTHER_SIDE, Call, Frame, Malformed, Send, Version
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import Closed, Entry, FrameRecord, Gap, Opened, Record
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.core.session import Session, Sessions
from ocpp_proxy.core.station.links import Link
from ocpp_proxy.core.vocabulary import OTHER_SUBPROTOCOLS, VERSIONS, guess_version, version_of_subprotocol
from ocpp_proxy.rules.book import FindingBook, Found
from ocpp_proxy.rules.bound import SHOWN
from ocpp_proxy.rules.connection import BOTH, UNREADABLE_KEPT, Connection
from ocpp_proxy.rules.engine import EVERYTHING, Engine
from ocpp_proxy.rules.judge import Judge, OnMistake, Seen
from ocpp_proxy.rules.model import Need, Rule
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import ANY
from ocpp_proxy.rules.ruleset import RuleSet, holds_for_all_versions
from ocpp_proxy.rules.timers import Timer, Timers

GUESS_FROM = 20  # frames of a connection without a version that are looked at before it is guessed
FALLBACK: Version = "1.6"
NOTES_KEPT = 1000
GOING_AWAY = 1001  # how the relay ends its connections when it is stopped
LOST = 1006  # RFC 6455 section 7.1.5: the end of a connection without a close frame
NOT_RECORDED = "not_recorded"  # in `extra` of a frame in whose place its length and SHA-256 are on record
ROUNDING_S = 1e-6  # sums of times are a little off, and a time that has come is not to be missed
REBOOTED_S = 60.0  # a clock that is so much earlier is another one, since the recording machine was started again


@dataclass(frozen=True, slots=True)
class Note:
    """Something to bear in mind when reading the findings of a connection, or of all where that is None."""

    connection: str | None
    message: str


class Pipeline:
    """`site`: what is known of the site; `default_version`: of connections whose subprotocol does not tell;
    `forget_closed`: drop a connection's findings when it closes, which a relay that runs for months needs. `has`: what
    the records' times are good for; `time_scale`: how much faster than the records' clock the payloads' times run;
    `on_mistake` hears of a rule that failed, as `Judge` has it.

    Raises BadInput for a site key that no rule asks for.
    """

    def __init__(
        self, rules: RuleSet, schemas: Schemas, *, site: frozenset[str] = frozenset(),
        default_version: Version | None = None, forget_closed: bool = False, has: frozenset[Need] = EVERYTHING,
        time_scale: float = 1.0, on_mistake: OnMistake | None = None,
    ) -> None:  # fmt: skip
        rules.check_site(site)
        if time_scale != 1:
            has -= {"wall-clock"}
        self.rules = rules
        self._has = has
        self._scale = time_scale
        self._site = site
        self._default = default_version
        self._forget_closed = forget_closed
        self._timers = Timers()
        wishes = replace(rules.wishes, bounds=rules.wishes.bounds.scaled(time_scale))
        self._make = partial(Judge, schemas=schemas, timers=self._timers, wishes=wishes, on_mistake=on_mistake)
        self._judges = self._judges_by(rules.active())
        # For connections of other versions, by the one whose framing they share; made when there is such a connection.
        self._others: dict[Version, Judge] = {}
        # Calls without an answer, in the order in which they should have one: when that is, what of it was held up.
        self._awaited: dict[int, tuple[float, float, Exchange]] = {}
        self._answer_s = wishes.bounds.answer_fail_s - ROUNDING_S
        self._sessions = Sessions()
        self._links: dict[str, Connection] = {}
        self._book = FindingBook()
        self._frames = self._control = self._malformed = self._exchanges = self._unanswered = 0
        self._latest: Instant | None = None
        self._time = 0.0  # seconds of the records' clock, scaled
        self.notes: list[Note] = []

    def _judges_by(self, rules: Iterable[Rule]) -> dict[Version, Judge]:
        engine = Engine(rules, self._site, self._has)
        return {version: self._make(version, engine.index(version)) for version in VERSIONS}

    def feed(self, record: Record, frame: Frame | None = None) -> list[Event]:
        """The events of a record, FrameSeen before what is found in it. `frame`: what was read from the record's data
        already, if it was. Never raises for what a peer sent. Deadlines that ran out before the record come first."""
        before = self._advance(record.at) if record.at is not None else None
        if isinstance(record, FrameRecord):
            events = self._passed(record, frame)
        else:
            react = _REACTIONS.get(type(record))
            events = react(self, record) if react is not None else []
        return [*before, *events] if before else events

    def tick(self, at: Instant) -> list[Event]:
        """Time goes by without a record. What is fed later should not be older, or deadlines have run out too early."""
        return self._advance(at) or []

    def finish(self) -> list[Event]:
        """Nothing more comes for now: judge what waited for more. Feeding may go on afterwards."""
        links = list(self._links.values())
        for link in links:
            self._broken_off(link)
        return [event for link in links for event in self._decide(link)]

    def findings(self) -> list[Finding]:
        """By connection, first frame, rule and pointer."""
        return self._book.findings()

    @property
    def counts(self) -> dict[str, int]:
        """As in `check --format json`. An open Call is pending until its connection closes or its caller's timeout
        has passed; then it is unanswered."""
        open_calls = sum(link.open for link in self._links.values())
        pending = sum(self._pending(link) for link in self._links.values())
        severities = self._book.counts()
        return {
            "frames": self._frames, "control": self._control, "malformed": self._malformed,
            "exchanges": self._exchanges, "unanswered": self._unanswered + open_calls - pending, "pending": pending,
            "error": severities["error"], "warning": severities["warning"], "info": severities["info"],
        }  # fmt: skip

    def skipped(self) -> list[dict[str, str]]:
        """The rules that nothing was judged by, and why, by id."""
        judges = [*self._judges.values(), *self._others.values()]
        met = set().union(*(judge.met for judge in judges))
        unmet = {rule: reason for judge in judges for rule, reason in judge.unmet.items()}
        return [{"rule": rule.id, "reason": reason} for rule in self.rules.all
                if (reason := self.rules.why_silent(rule, self._site, met, unmet, self._has)) is not None]

    def session(self, station: str | None) -> Session | None:
        """What is known of the station, None if it was not heard of."""
        return self._sessions.known(station)

    # Time

    def _advance(self, at: Instant) -> list[Event] | None:
        """Let the deadlines run out that lie before this moment. A record may be a little older than the one before,
        and the recording machine may have been started again in between: the time never goes back."""
        latest = self._latest
        if latest is None:
            self._latest = at
            return None
        passed_s = at.seconds_since(latest)
        if passed_s < 0:
            passed_s = (at.utc_us - latest.utc_us) / 1e6
            if -REBOOTED_S < passed_s < 0:
                return None
        self._latest = at
        if passed_s <= 0:
            return None
        self._time += passed_s * self._scale
        events: list[Event] | None = None
        if self._awaited:
            events = self._answers_due(at)
        for timer in self._timers.due(self._time):
            events = self._overdue(timer, at, events or [])
        return events

    def _answers_due(self, at: Instant) -> list[Event] | None:
        """Say of which Calls the answer should have come by now, and of other deadlines what lies before."""
        events: list[Event] | None = None
        while self._awaited:
            key, (due, held_s, exchange) = next(iter(self._awaited.items()))
            if due > self._time:
                break
            del self._awaited[key]
            link = self._links.get(exchange.connection)
            if link is None or link.judge is None or not link.correlator.awaits(exchange):
                continue
            if link.session.held_s > held_s:  # our own doing: it counts against nobody
                self._awaited[key] = due + link.session.held_s - held_s, link.session.held_s, exchange
                self._awaited = dict(sorted(self._awaited.items(), key=lambda item: item[1][0]))
                continue
            for timer in self._timers.due(due):
                events = self._overdue(timer, at, events or [])
            now = Now(link.session, link.judge.version, exchange.connection, due, self._at(due, at), link.state,
                      exchange=exchange)
            events = self._entered(link.judge.hear(now, "unanswered", ANY, exchange.caller), events or [])
        return events

    def _at(self, time: float, at: Instant) -> Instant:
        """When that was by the wall clock, where it is `at` now."""
        return Instant(at.utc_us - round((self._time - time) / self._scale * 1e6))

    def _overdue(self, timer: Timer, at: Instant, events: list[Event]) -> list[Event]:
        session, connection = timer.session, timer.deadline.place.connection
        links = session.links.open
        link = links.get(connection) or next(reversed(links.values()), None)
        now = Now(session, timer.version, connection, timer.due, self._at(timer.due, at), link)
        return self._entered(self._judges[timer.version].overdue(timer, now), events)

    # Records

    def _opened(self, record: Opened) -> list[Event]:
        events: list[Event] = self._end(record.connection, record.at, None)
        session = self._sessions.of(record.station)
        version = version_of_subprotocol(record.subprotocol) or self._default
        judge = self._judges[version or _version_offered(record) or FALLBACK]
        made = record.status == 101
        state = Link(record.connection, record, self._time, whole=True) if made else None
        now = Now(session, judge.version, record.connection, self._time, record.at, link=state, record=record)
        if state is not None:
            link = self._link(state, session, version, from_the_start=True)
            self._links[record.connection] = link
            if version is None and record.subprotocol is not None:
                self._judge_framing(link, record.subprotocol)
        found = judge.hear(now, "handshake", ANY, None)
        if state is not None:
            found = [*found, *judge.hear(now, "opened", ANY, None)]
            session.links.begin(state, record.at.utc_us)
        session.links.shake(record.connection, self._time, record.status)
        return self._entered(found, [*events, ConnectionOpened(record)])

    def _closed(self, record: Closed) -> list[Event]:
        link = self._links.get(record.connection)
        events = self._end(record.connection, record.at, record)
        if self._forget_closed:
            self._book.forget(record.connection)
        return [*events, ConnectionClosed(record, link.session.station if link is not None else None)]

    def _gap(self, record: Gap) -> list[Event]:
        link = self._links.get(record.connection) or self._join(record.connection)
        self._missing(link, record.first_seq, record.lost, record.reason)
        return [GapSeen(record)]

    def _passed(self, record: FrameRecord, frame: Frame | None) -> list[Event]:
        link = self._links.get(record.connection) or self._join(record.connection)
        if record.seq != link.last_seq + 1:
            self._out_of_step(link, record.seq)
        link.last_seq = record.seq
        if record.opcode in ("ping", "pong"):
            return self._control_frame(link, record)
        if record.incomplete:  # its whole form follows, or else it broke off
            self._begun(link, record)
            return []
        if link.begun is not None:
            link.whole(record)
        if record.extra and NOT_RECORDED in record.extra:
            return self._placeholder(record)
        if frame is None:
            frame = read(record.data, binary=record.opcode == "binary")
        self._frames += 1
        seen = self._correlated(link, record, frame)
        events: list[Event] = [FrameSeen(record, link.session.station, frame, seen.correlation.exchange)]
        if link.judge is None:
            return events + self._wait(link, seen)
        return self._judged(link.judge, link, seen, events)

    def _control_frame(self, link: Connection, record: FrameRecord) -> list[Event]:
        self._control += 1
        events: list[Event] = [FrameSeen(record, link.session.station, None, None)]
        side, state = OTHER_SIDE[record.to], link.state
        judge = link.judge or self._judges[self._default or FALLBACK]
        now = Now(link.session, judge.version, record.connection, self._time, record.at, link=state, record=record,
                  side=side)
        events = self._entered(judge.hear(now, "control", record.opcode, side), events)
        state.last_seq = record.seq
        state.pinged[side] = self._time
        return events

    def _placeholder(self, record: FrameRecord) -> list[Event]:
        """What is on record are not the peer's words: for the analysis the frame is missing."""
        told = record.extra[NOT_RECORDED]
        reason = told.get("reason") if isinstance(told, Mapping) else None
        gap = Gap(connection=record.connection, at=record.at, first_seq=record.seq, lost=1,
                  reason=f"it could not be read ({reason}), only its length and SHA-256 are on record")
        return self._gap(gap)

    def _entry(self, record: Entry) -> list[Event]:
        """The relay's note of a breach; other lines say nothing."""
        connection = record.connection
        if record.type != "breach" or connection is None:
            return []
        link = self._links.get(connection)
        if link is None:
            state = Link(connection, None, self._time, whole=False)
            link = self._link(state, self._sessions.of(None), self._default, from_the_start=False)
        events = self._decide(link)
        judge = link.judge or self._judges[FALLBACK]
        return self._entered(judge.breach(record.fields, connection, link.last_seq, link.session), events)

    # What a frame means

    def _correlated(self, link: Connection, record: FrameRecord, frame: Frame) -> Seen:
        """Pair the frame and count it."""
        side = OTHER_SIDE[record.to]
        held_s, at, said = (record.held_ms or 0.0) / 1000, record.at, self._time
        if held_s:  # on record when it went on, by the time when it came
            at = _later(at, held_s) if isinstance(frame, (Call, Send)) else at
            said -= max(0.0, self._latest.seconds_since(record.at) if self._latest is not None else 0.0) * self._scale
        correlation = link.correlator.receive(
            frame, record.seq, record.sender, at, side if record.sender == "proxy" else None
        )
        link.session.held_s += held_s * self._scale
        remarks, exchange = correlation.remarks, correlation.exchange
        if "answered" in remarks:
            link.open -= 1
        elif isinstance(frame, Call):
            if exchange is not None:
                exchange.called_time = said + held_s * self._scale
                exchange.withheld = record.origin == "withheld"
            if "opened" in remarks:
                self._exchanges += 1
                link.open += 1
        elif isinstance(frame, Malformed):
            self._malformed += 1
            link.unreadable = frame.raw[:UNREADABLE_KEPT]
            link.session.links.hole_time = self._time
        if len(remarks) != 1 or remarks[0] == "orphan":
            remarks = tuple(link.certain(record, frame, side, correlation))
        if link.unheard and isinstance(frame, Call):
            link.unheard -= {side}
        now = Now(link.session, link.session.version or FALLBACK, record.connection, said, record.at,
                  link.state, record, frame, side, exchange)
        return Seen(now, record, frame, side, correlation, remarks)

    def _judged(self, judge: Judge, link: Connection, seen: Seen, events: list[Event]) -> list[Event]:
        """Judge by what was known before, then learn."""
        now, frame, side, state = seen.now, seen.frame, seen.side, link.state
        found = judge.judge(seen)
        if isinstance(frame, (Call, Send)):
            state.called[side] = now.time
            exchange = now.exchange
            if isinstance(frame, Call) and exchange is not None and exchange.answer is None and not exchange.withheld:
                self._await(exchange, link.session)
            if not now.retry:
                link.session.learn(now)
        elif "answered" in seen.remarks:
            self._awaited.pop(id(now.exchange), None)
            link.session.learn(now)
        state.last_seq = seen.record.seq
        state.heard[side] = now.time
        return self._entered(found, events) if found else events

    def _await(self, exchange: Exchange, session: Session) -> None:
        """Wait for the answer, anew if the Call is sent again."""
        key, awaited = id(exchange), self._awaited
        awaited.pop(key, None)
        awaited[key] = exchange.called_time + self._answer_s, session.held_s, exchange

    def _entered(self, findings: Iterable[Found], events: list[Event]) -> list[Event]:
        for found in findings:
            finding, first = self._book.enter(found)
            events.append(FindingRaised(finding, first))
            if self._forget_closed and finding.connection not in self._links:
                self._book.forget(finding.connection)  # found at a deadline, after the connection's end
        return events

    # Connections

    def _link(self, state: Link, session: Session, version: Version | None, *, from_the_start: bool) -> Connection:
        if version is not None:
            session.version = version
        judge = self._judges[version] if version is not None else None
        return Connection(state, session, judge, from_the_start)

    def _judge_framing(self, link: Connection, subprotocol: str) -> None:
        """No more than that can be said of a version without schemas and rules, where the subprotocol is of one."""
        alike = OTHER_SUBPROTOCOLS.get(subprotocol)
        if alike is None:
            return
        self._others = self._others or self._judges_by(filter(holds_for_all_versions, self.rules.active()))
        link.session.version, link.judge = alike, self._others[alike]
        self._note(link.correlator.connection, f"{subprotocol} has no schemas and rules here: only frames and the "
                   "connection were judged, unless --ocpp-version says what else to judge by")

    def _join(self, connection: str) -> Connection:
        """A connection whose beginning is not in the capture."""
        state = Link(connection, None, self._time, whole=False)
        session = self._sessions.of(None)
        links = session.links
        links.open[connection] = state
        links.since = links.hole_time = self._time
        link = self._link(state, session, self._default, from_the_start=False)
        self._links[connection] = link
        return link

    def _end(self, connection: str, at: Instant, record: Closed | None) -> list[Event]:
        """The connection is over, if there is one: its open Calls will not be answered any more. `record`: None where
        the capture does not hold its end."""
        link = self._links.get(connection)
        if link is None:
            return []
        self._broken_off(link)
        events = self._decide(link)
        judge = link.judge or self._judges[FALLBACK]
        now = Now(link.session, judge.version, connection, self._time, at, link=link.state, record=record)
        events = self._entered(judge.hear(now, "closed", ANY, None), events)
        del self._links[connection]
        self._unanswered += link.open
        self._timers.end(link.session, connection)
        by, code = (record.by, record.code) if record is not None else ("proxy", LOST)
        links = link.session.links
        if record is None or (by == "proxy" and code == GOING_AWAY):
            links.hole_time = self._time  # from here on the station may speak where nobody records it
        links.end(connection, self._time, at.utc_us, by, code)
        return events

    def _out_of_step(self, link: Connection, seq: int) -> None:
        if not link.last_seq:  # cut out of a longer capture
            link.unheard = BOTH
            link.state.whole = False
            link.session.links.hole_time = self._time
        elif seq > link.last_seq:
            self._missing(link, link.last_seq + 1, seq - link.last_seq - 1, "not in the capture")

    def _missing(self, link: Connection, first_seq: int, lost: int, reason: str) -> None:
        link.last_seq = max(link.last_seq, first_seq + lost - 1)
        link.state.whole = False
        link.gap_seq = link.last_seq
        link.session.links.hole_time = self._time
        link.lost += lost
        span = f"frame {first_seq} is" if lost == 1 else f"frames {first_seq} to {first_seq + lost - 1} are"
        self._note(link.correlator.connection, f"{span} missing: {reason}")

    def _begun(self, link: Connection, record: FrameRecord) -> None:
        """Keep in mind a message that may break off; one of each side at most, as RFC 6455 section 5.4 has it."""
        begun = link.begun = link.begun or {}
        begun[record.sender] = (record.seq, sum(record.fragments or (len(record.data),)))

    def _broken_off(self, link: Connection) -> None:
        for sender, (seq, size) in (link.begun or {}).items():
            self._note(link.correlator.connection, f"message {seq} of the {SHOWN[sender]} broke off after {size} bytes")
        link.begun = None

    def _pending(self, link: Connection) -> int:
        latest, timeout_s = self._latest, link.correlator.timeout_s
        if not link.open or latest is None:
            return 0
        return sum(latest.seconds_since(exchange.called_at) <= timeout_s for exchange in link.correlator.unanswered())

    def _note(self, connection: str, message: str) -> None:
        if len(self.notes) < NOTES_KEPT:
            self.notes.append(Note(connection, message))

    # Connections whose version has to be guessed

    def _wait(self, link: Connection, seen: Seen) -> list[Event]:
        link.waiting = [*(link.waiting or ()), seen]
        return self._decide(link) if len(link.waiting) >= GUESS_FROM else []

    def _decide(self, link: Connection) -> list[Event]:
        """Judge what waited, by the version that most of it speaks."""
        waiting, events = link.waiting, list[Event]()
        if link.judge is not None or waiting is None:
            return events
        guess = guess_version(seen.frame for seen in waiting)
        how = "guessed from the frames" if guess is not None else "assumed: nothing in the frames tells"
        link.session.version = guess or FALLBACK
        link.judge = self._judges[link.session.version]
        link.waiting = None
        self._note(link.correlator.connection, f"OCPP {link.session.version} was {how}")
        for seen in waiting:
            self._judged(link.judge, link, seen, events)
        return events


def _version_offered(record: Opened) -> Version | None:
    """The version of a handshake that failed."""
    return next((version for name in record.offered if (version := version_of_subprotocol(name)) is not None), None)


def _later(at: Instant, seconds: float) -> Instant:
    mono_ns = at.mono_ns + round(seconds * 1e9) if at.mono_ns is not None else None
    return Instant(at.utc_us + round(seconds * 1e6), mono_ns)


_REACTIONS: dict[type, Callable[[Pipeline, Any], list[Event]]] = {
    Opened: Pipeline._opened,
    Closed: Pipeline._closed,
    Gap: Pipeline._gap,
    Entry: Pipeline._entry,
}

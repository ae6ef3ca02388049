import asyncio

from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.endpoint import CONNECTION_LOST, TIMED_OUT, CallFailed
from ocpp_proxy.sim.outbox import Outbox


class Peer:
    """Answers in the given way, one after the other, then soundly."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def send(self, action, payload):
        self.asked.append((action, payload))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer


def outbox(peer, *, keeps=True):
    return Outbox(peer.send, ScaledClock(10_000), keeps=keeps, attempts=lambda: 3, retry_interval_s=lambda: 10.0)


async def delivering(box):
    box.online = True
    return asyncio.create_task(box.deliver())


def test_messages_go_out_in_order_and_tell_their_responses():
    async def story():
        peer, told = Peer({"n": 1}, {"n": 2}), []
        box = outbox(peer)
        await delivering(box)
        entries = [box.put(name, lambda name=name: {"of": name}, told.append) for name in "ab"]
        for entry in entries:
            await entry.released.wait()
        assert peer.asked == [("a", {"of": "a"}), ("b", {"of": "b"})]
        assert told == [{"n": 1}, {"n": 2}]
        assert len(box) == 0

    asyncio.run(story())


def test_a_payload_is_built_when_it_is_sent():
    async def story():
        peer, known = Peer(), {}
        box = outbox(peer)
        box.put("Start", dict, lambda _: known.update(id=7))
        last = box.put("Stop", lambda: {"id": known.get("id")}, lambda _: None)
        assert last.released.is_set()  # offline: nobody waits
        last.released.clear()
        await delivering(box)
        await last.released.wait()
        assert peer.asked[-1] == ("Stop", {"id": 7})

    asyncio.run(story())


def test_a_failed_message_is_tried_again_and_blocks_the_next():
    async def story():
        peer = Peer(CallFailed("a", TIMED_OUT), CallFailed("a", "InternalError"), {})
        box = outbox(peer)
        await delivering(box)
        box.put("a", dict, lambda _: None)
        await box.put("b", dict, lambda _: None).released.wait()
        assert [action for action, _ in peer.asked] == ["a", "a", "a", "b"]

    asyncio.run(story())


def test_after_all_attempts_a_message_is_given_up():
    async def story():
        peer, told = Peer(*[CallFailed("a", "InternalError")] * 3), []
        box = outbox(peer)
        await delivering(box)
        await box.put("a", dict, told.append).released.wait()
        assert len(peer.asked) == 3
        assert told == []
        assert len(box) == 0

    asyncio.run(story())


def test_what_the_link_broke_off_is_sent_again_later():
    async def story():
        peer = Peer(CallFailed("a", CONNECTION_LOST))
        box = outbox(peer)
        delivery = await delivering(box)
        entry = box.put("a", dict, lambda _: None)
        await delivery
        box.link_lost()
        assert entry.released.is_set()
        assert len(box) == 1
        entry.released.clear()
        await delivering(box)
        await entry.released.wait()
        assert len(peer.asked) == 2

    asyncio.run(story())


def test_without_a_memory_what_cannot_be_sent_is_lost():
    async def story():
        peer = Peer(CallFailed("a", CONNECTION_LOST))
        box = outbox(peer, keeps=False)
        assert box.put("offline", dict, lambda _: None).released.is_set()
        delivery = await delivering(box)
        entry = box.put("a", dict, lambda _: None)
        await delivery
        box.link_lost()
        assert entry.released.is_set()
        assert len(box) == 0
        assert [action for action, _ in peer.asked] == ["a"]

    asyncio.run(story())

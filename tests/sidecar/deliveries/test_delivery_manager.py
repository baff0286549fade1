"""Deliveries: in order, signed, tried again, given up, and never by two at once."""

import asyncio
from pathlib import Path

import pytest
import standardwebhooks
from sidecar_protocol.session import Credentials
from sidecar_protocol.wire_types import Secret

from sidecar.clock import Clock
from sidecar.deliveries.sender import DAY, DETACH_ATTEMPTS, MAX_ATTEMPTS, backoff_seconds
from sidecar.errors import INTERNAL_ERROR, Conflict, NotFound, StoreFailed
from sidecar.net.public_http import PublicHttpClient
from sidecar.storage.endpoint_rows import LEASE, EndpointRows
from sidecar.storage.outbox import OutboxMessage, PendingMessage
from tests.clocks import ManualClock
from tests.fakes import KEY, KEY_ID, StandInReceiver, StandInRtcv, nobody_listens
from tests.faults import Kind
from tests.sidecar.deliveries.posting import SECRET, hook, posting

OTHER = "whsec_" + "b3RoZXIgc2VjcmV0IG9mIHNvbWUgbGVuZ3Ro"


def bodies(receiver: StandInRtcv) -> list[str]:
    """The bodies that arrived, in order."""
    return [request.body.decode() for request in receiver.requests]


async def test_an_attempt_is_signed_as_standard_webhooks_says() -> None:
    """An independent library agrees, for each secret of an endpoint that changes them."""
    async with StandInReceiver() as receiver, posting(clock=Clock()) as post:
        [one] = post.hook(hook(receiver.url, SECRET, OTHER))
        post.put(one, '{"a":"ü"}')
        await post.until_empty()
        [request] = receiver.requests
        headers = {name.lower(): value for name, value in request.headers.items()}
        for secret in (SECRET, OTHER):
            assert standardwebhooks.Webhook(secret).verify(request.body, headers) == {"a": "ü"}
        assert len(headers["webhook-signature"].split(" ")) == 2
        assert headers["content-type"] == "application/json; charset=utf-8"


async def test_without_a_secret_nothing_is_signed() -> None:
    """Id and time are there all the same."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url, format="cloudevents"))
        post.put(one, "a")
        await post.until_empty()
        [request] = receiver.requests
        assert (request.headers["webhook-id"], request.headers["webhook-timestamp"]) == ("a", "1800000000")
        assert "webhook-signature" not in request.headers
        assert request.headers["Content-Type"].startswith("application/cloudevents+json")


async def test_a_lane_keeps_its_order_and_lanes_do_not_wait_for_each_other() -> None:
    """One that hangs holds up its own run alone."""
    async with StandInReceiver() as receiver, posting() as post:
        [one] = post.hook(hook(f"{receiver.url}/x"))
        receiver.fail("/x", "hang")
        post.put(one, "a1", "a2", ordering_key="a")
        await receiver.wait_for("/x")
        post.put(one, *(f"b{number}" for number in range(50)), ordering_key="b")
        await receiver.wait_for("/x", 51)
        assert bodies(receiver) == ["a1", *(f"b{number}" for number in range(50))]
        receiver.release()
        await post.until_empty()
        assert bodies(receiver)[51:] == ["a2"]


async def test_concurrent_sends_are_bounded() -> None:
    """Eight of an endpoint; the others wait, and lose nothing."""
    async with StandInReceiver() as receiver, posting() as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "hang", None)
        for number in range(20):
            post.put(one, f"{number}", ordering_key=f"{number}")
        await receiver.wait_for("/", 8)
        await post.database.flush()
        assert len(receiver.requests) == 8
        receiver.release()
        await post.until_empty()
        assert sorted(map(int, bodies(receiver))) == list(range(20))


async def test_an_attempt_that_fails_is_made_again_under_the_same_id() -> None:
    """Retries come after 4 and 16 seconds, each with its own time and signature; later messages wait."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url, SECRET))
        receiver.fail("/", "error", 2)
        post.put(one, "a", "b")
        await post.until_empty()
        assert bodies(receiver) == ["a", "a", "a", "b"]
        assert {request.headers["webhook-id"] for request in receiver.requests[:3]} == {"a"}
        times = [int(request.headers["webhook-timestamp"]) - 1_800_000_000 for request in receiver.requests]
        assert times == [0, 4, 20, 20]
        assert len({request.headers["webhook-signature"] for request in receiver.requests[:3]}) == 3
        [(event, content)] = post.events
        assert (event, content.status, content.attempts, content.error.status) == ("delivery_failed", "waiting", 1, 500)


@pytest.mark.parametrize(
    ("said", "seconds"), [(100, 100), ("Fri, 15 Jan 2027 08:10:00 GMT", 600), (10**9, DAY), (0, 1)]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after(said: float | str, seconds: float, status: int) -> None:
    """The receiver says when, up to a day; the whole endpoint is left alone so long."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "error", 1, status=status, retry_after=said)
        post.put(one, "a")
        await post.until_empty()
        assert [int(request.headers["webhook-timestamp"]) - 1_800_000_000 for request in receiver.requests] == [
            0,
            seconds,
        ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure(status: int) -> None:
    """A redirect is not followed."""
    async with StandInReceiver() as receiver, posting() as post:
        [one] = post.hook(hook(f"{receiver.url}/x"))
        receiver.fail("/x", "redirect", 1, status=status, location="/elsewhere")
        post.put(one, "a")
        await post.until_empty()
        assert [request.path for request in receiver.requests] == ["/x", "/x"]


async def test_a_delivery_that_always_fails_is_given_up() -> None:
    """A delivery is dead after ten attempts over two days; the next of its ordering key is then sent."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "error", MAX_ATTEMPTS)
        post.put(one, "a", "b")
        await post.until(lambda: post.statuses() == {"a": "dead"})
        assert bodies(receiver) == ["a"] * MAX_ATTEMPTS + ["b"]
        assert time.time - 1_800_000_000 >= 2 * DAY
        await post.until(lambda: [content.status for _, content in post.events] == ["waiting", "dead"])
        [dead] = post.deliveries.list_page("dead", 1).deliveries
        assert (dead.attempts, dead.error, dead.next_attempt) == (10, "the receiver answered 500", None)


async def test_a_receiver_that_is_down_for_an_hour() -> None:
    """Nothing is lost, and the endpoint is asked with one delivery at a time."""
    time = ManualClock()
    async with posting(clock=time.clock) as post:
        with nobody_listens() as url:
            [one] = post.hook(hook(url))
            for number in range(20):
                post.put(one, f"{number}", ordering_key=f"{number}")
            await post.until(lambda: time.time - 1_800_000_000 > 3600)
        async with StandInReceiver(port=int(url.rpartition(":")[2])) as receiver:
            await post.until_empty()
            assert sorted(map(int, bodies(receiver))) == list(range(20))
        assert 1 <= len(post.events) <= 8 + 6
        assert all(content.error.code == "remote_unreachable" for _, content in post.events)


async def test_an_endpoint_that_is_dead_for_days_is_given_up() -> None:
    """Messages that have waited for two days of failures are dead; newer ones still wait."""
    time = ManualClock()
    async with posting(clock=time.clock) as post:
        with nobody_listens() as url:
            [one] = post.hook(hook(url))
            post.put(one, "a", "b")
            post.put(one, "c", ordering_key="other")
            await post.until(lambda: set(post.statuses().values()) == {"dead"})
            assert time.time - 1_800_000_000 >= 2 * DAY


async def test_gone() -> None:
    """410 ends everything for an endpoint, until it is named again."""
    async with StandInReceiver() as receiver, posting() as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "error", 1, status=410)
        post.put(one, "a", "b")
        await post.until(lambda: post.statuses() == {"a": "dead", "b": "dead"})
        assert post.session() == []
        assert post.services.endpoints.register([hook(receiver.url)]) == ()
        post.put(one, "c")
        await post.database.flush()
        assert post.statuses()["c"] == "dead"
        with pytest.raises(Conflict):
            await post.deliveries.redeliver("a", None)
        assert post.hook(hook(receiver.url)) == [one]
        assert post.session() == [one]
        post.put(one, "d")
        await receiver.wait_for("/", 2)
        await post.until(lambda: set(post.statuses()) == {"a", "b", "c"})
        assert bodies(receiver) == ["a", "d"]


async def test_redeliver() -> None:
    """A dead one goes once more under its id, one that waits goes at once."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url))
        fault = receiver.fail("/", "error", MAX_ATTEMPTS)
        post.put(one, "a")
        await post.until(lambda: post.statuses() == {"a": "dead"})
        assert fault.left == 0
        await post.deliveries.redeliver("a", one)
        await post.until_empty()
        assert bodies(receiver) == ["a"] * (MAX_ATTEMPTS + 1)
        for place in (None, one, "another"):
            with pytest.raises(NotFound):
                await post.deliveries.redeliver("a", place)


async def test_redeliver_does_not_wait_for_the_back_off() -> None:
    """`redeliver` sends at once, even if the whole endpoint is backing off."""
    time = Clock()
    async with StandInReceiver() as receiver, posting(clock=time) as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "error", 1, status=503, retry_after=3600)
        post.put(one, "a")
        await post.until(lambda: [d.attempts for d in post.deliveries.list_page("waiting", 1).deliveries] == [1])
        await post.until(lambda: len(post.events) == 1)
        await post.deliveries.redeliver("a", None)
        await post.until_empty()
        assert bodies(receiver) == ["a", "a"]


@pytest.mark.parametrize("kind", ["truncated", "not_json", "empty"])
async def test_the_status_of_a_receiver_decides(kind: Kind) -> None:
    """A message answered with 200 is not sent again, whatever happens to the body."""
    async with StandInReceiver() as receiver, posting() as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", kind)
        post.put(one, "a", "b")
        await post.until_empty()
        assert bodies(receiver) == ["a", "b"]
        assert post.events == []


async def test_a_copy_that_was_taken_is_not_sent_again() -> None:
    """A server's status decides as well, though its answer breaks off."""
    async with StandInRtcv() as server, posting() as post:
        location = Credentials(server_location=server.url, api_key_id=KEY_ID, api_key=Secret(KEY))
        [one] = post.services.endpoints.log_in("scope", [location], 0)
        server.fail("scraper", "truncated", 2)
        post.outbox.put([OutboxMessage(id="run", endpoint=one, ordering_key="", body=b"{}", kind="result")])
        post.outbox.put(
            [OutboxMessage(id="cv", endpoint=one, ordering_key="", body=b'{"referenceNumber":"1"}', kind="cv")]
        )
        await post.until_empty()
        assert [request.path.rpartition("/")[2] for request in server.requests] == ["jobResult", "scanCV"]


async def test_a_receiver_that_takes_too_long() -> None:
    """An answer after the time limit counts as none; another endpoint is not affected."""
    async with StandInReceiver() as slow, StandInReceiver() as quick, posting(timeout=0.2) as post:
        [one, other] = post.hook(hook(slow.url), hook(quick.url))
        slow.fail("/", "hang", 1)
        post.put(one, "a")
        post.put(other, *map(str, range(30)))
        await quick.wait_for("/", 30)
        await post.until_empty()
        assert bodies(slow) == ["a", "a"]
        assert post.events[0][1].error.code == "timeout"


async def test_a_private_address_is_never_asked() -> None:
    """A private endpoint that was named while it was allowed is dead when it is not."""
    async with (
        StandInReceiver() as receiver,
        posting(public_http=PublicHttpClient(Clock(), allow_private=False)) as post,
    ):
        [one] = post.hook(hook(receiver.url))
        post.put(one, "a")
        await post.until(lambda: post.statuses() == {"a": "dead"})
        assert receiver.requests == []
        await post.until(lambda: len(post.events) == 1)
        assert post.events[0][1].error.code == "forbidden"


async def test_deliveries_go_on_after_a_restart(tmp_path: Path) -> None:
    """The next process sends unsent deliveries, and has the secret if there is a store key."""
    path = tmp_path / "sidecar.db"
    async with StandInReceiver() as receiver:
        async with posting(path, Clock(), key=b"k" * 32, start=False) as post:
            [one] = post.hook(hook(receiver.url, SECRET))
            post.put(one, "1", "2", "3")
        assert SECRET.removeprefix("whsec_").encode() not in path.read_bytes()
        async with posting(path, Clock(), key=b"k" * 32) as post:
            await post.until_empty()
        assert bodies(receiver) == ["1", "2", "3"]
        assert all(request.headers["webhook-signature"] for request in receiver.requests)


async def test_without_a_key_for_the_store_a_signed_endpoint_waits_to_be_named_again(tmp_path: Path) -> None:
    """One that is not signed goes on by itself."""
    path = tmp_path / "sidecar.db"
    async with StandInReceiver() as receiver:
        signed, plain = hook(f"{receiver.url}/signed", SECRET), hook(f"{receiver.url}/plain")
        async with posting(path, Clock(), start=False) as post:
            [one, other] = post.hook(signed, plain)
            post.put(one, "a")
            post.put(other, "b")
        async with posting(path, Clock()) as post:
            await receiver.wait_for("/plain")
            await post.until(lambda: post.statuses() == {"a": "waiting"})
            assert receiver.to("/signed") == []
            post.services.endpoints.register([hook(f"{receiver.url}/signed")])  # a job that names the URL has no secret
            post.deliveries.wake([one])
            post.hook(signed)
            await post.until_empty()
            [request] = receiver.to("/signed")
            assert "webhook-signature" in request.headers


async def test_two_processes_on_one_store_send_each_delivery_once(tmp_path: Path) -> None:
    """Each delivery is sent once, also those that both store for one endpoint at the same time."""
    path = tmp_path / "sidecar.db"
    async with StandInReceiver() as receiver, posting(path, Clock()) as one, posting(path, Clock()) as other:
        [endpoint] = one.hook(hook(receiver.url))
        assert other.hook(hook(receiver.url)) == [endpoint]
        for number in range(200):
            (one, other)[number % 2].put(endpoint, f"{number}", ordering_key=f"{number % 10}")
            await asyncio.sleep(0)
        await asyncio.gather(one.until_empty(), other.until_empty())
        arrived = bodies(receiver)
        assert sorted(map(int, arrived)) == list(range(200))
        for process in (0, 1):  # each process's own order is kept
            for ordering_key in range(process, 10, 2):
                mine = [int(body) for body in arrived if int(body) % 10 == ordering_key]
                assert mine == sorted(mine)


async def test_a_suspended_process_does_not_continue_work_that_another_took(tmp_path: Path) -> None:
    """Its lease is over when it wakes up: what was under way may arrive twice, nothing else does."""
    path = tmp_path / "sidecar.db"
    time, halted = ManualClock(), asyncio.Event()

    async def wait(seconds: float) -> None:
        await halted.wait()

    clock = Clock(now=lambda: time.time, monotonic=lambda: time.time, sleep=wait)
    async with StandInReceiver() as receiver, posting(path, clock) as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "hang")
        post.put(one, "a", "b")
        await receiver.wait_for("/")
        time.advance(LEASE + 1)
        rows = EndpointRows(post.database, time.clock)
        assert await rows.claim(one, "another", lambda process: True)
        process_lock = post.deliveries.process_lock()
        was_alive, process_lock.is_alive = process_lock.is_alive, lambda process: True  # type: ignore[method-assign]
        receiver.release()
        await post.until(lambda: set(post.statuses()) == {"b"})
        await post.database.flush()
        assert bodies(receiver) == ["a"]
        process_lock.is_alive = was_alive  # type: ignore[method-assign]
        halted.set()
        await post.until_empty()
        assert bodies(receiver) == ["a", "b"]


async def test_a_clock_set_back_stalls_nothing() -> None:
    """A pause is as long as it was, whatever the clock on the wall says."""
    time = ManualClock()
    behind = 0.0
    clock = Clock(now=lambda: time.time - behind, monotonic=lambda: time.time, sleep=time.clock.sleep)
    async with StandInReceiver() as receiver, posting(clock=clock) as post:
        [one] = post.hook(hook(receiver.url))
        receiver.fail("/", "error", 3)
        post.put(one, "a")
        await receiver.wait_for("/")
        behind = 3600.0
        await post.until_empty()
        assert len(receiver.requests) == 4
        assert time.time - 1_800_000_000 < 600


async def test_draining_waits_for_what_can_be_sent_and_not_for_what_can_not(tmp_path: Path) -> None:
    """At the end of a session due messages are sent; failed ones stay for the next start."""
    path = tmp_path / "sidecar.db"
    async with StandInReceiver() as receiver, posting(path, Clock()) as post:
        [one, other] = post.hook(hook(f"{receiver.url}/good"), hook(f"{receiver.url}/bad"))
        receiver.fail("/bad", "error", None)
        post.put(one, *map(str, range(20)))
        post.put(other, "a")
        await asyncio.wait_for(post.deliveries.drain(20), 20)
        assert len(receiver.to("/good")) == 20
        assert post.statuses() == {"a": "waiting"}


async def test_copies_for_servers_are_in_order_and_have_a_key() -> None:
    """CVs and results, one after the other, also while the server is in trouble."""
    async with StandInRtcv() as server, posting() as post:
        location = Credentials(server_location=server.url, api_key_id=KEY_ID, api_key=Secret(KEY), name="second")
        [one] = post.services.endpoints.log_in("scope", [location], 0)
        server.fail("scraper", "error", 2, status=503)
        cvs = [b'{"referenceNumber":"%d"}' % number for number in range(5)]
        post.outbox.put(
            [OutboxMessage(id=f"cv {n}", endpoint=one, ordering_key="", body=cv, kind="cv") for n, cv in enumerate(cvs)]
        )
        post.outbox.put([OutboxMessage(id="run", endpoint=one, ordering_key="", body=b'{"a":1}', kind="result")])
        await post.until_empty()
        taken = server.requests[2:]
        assert [request.body for request in taken] == [*(b'{"cv":%s}' % cv for cv in cvs), b'{"a":1}']
        assert [request.headers["Idempotency-Key"] for request in server.requests] == ["cv 0"] * 3 + [
            *(f"cv {number}" for number in range(1, 5)),
            "run",
        ]
        assert post.events[0][1].server == "second"


async def test_a_copy_that_a_server_will_never_accept_blocks_no_other() -> None:
    """A body that the server rejects as invalid is dead at once, and reported."""
    async with StandInRtcv() as server, posting() as post:
        location = Credentials(server_location=server.url, api_key_id=KEY_ID, api_key=Secret(KEY))
        [one] = post.services.endpoints.log_in("scope", [location], 0)
        bad, good = (OutboxMessage(id=name, endpoint=one, ordering_key="", body=body, kind="cv") for name, body in [
            ("bad", b"{}"), ("good", b'{"referenceNumber":"a"}'),
        ])  # fmt: skip
        post.outbox.put([bad, good])
        await post.until(lambda: post.statuses() == {"bad": "dead"} and len(post.events) == 1)
        [(_, content)] = post.events
        assert (content.status, content.error.message) == ("dead", "referenceNumber must be set")


@pytest.mark.parametrize(("status", "attempts"), [(500, DETACH_ATTEMPTS), (404, 1)])
async def test_a_copy_that_a_server_always_refuses_is_detached(status: int, attempts: int) -> None:
    """The copies after it arrive after a few attempts at it; it is tried for two days all the same."""
    time = ManualClock()
    async with StandInRtcv() as server, posting(clock=time.clock) as post:
        location = Credentials(server_location=server.url, api_key_id=KEY_ID, api_key=Secret(KEY))
        [one] = post.services.endpoints.log_in("scope", [location], 0)
        server.fail("jobResult", "error", None, status=status)
        post.outbox.put([OutboxMessage(id="bad", endpoint=one, ordering_key="", body=b"{}", kind="result")])
        post.outbox.put(
            [
                OutboxMessage(id=f"{n}", endpoint=one, ordering_key="", body=b'{"referenceNumber":"a"}', kind="cv")
                for n in range(3)
            ]
        )
        await server.wait_for("scanCV", 3)
        taken = [request.headers["Idempotency-Key"] for request in server.requests]
        assert taken[: attempts + 3] == ["bad"] * attempts + ["0", "1", "2"]
        await post.until(lambda: post.statuses() == {"bad": "dead"})
        assert len(server.to("jobResult")) == MAX_ATTEMPTS


async def test_a_body_that_can_not_be_opened_fails_alone(tmp_path: Path) -> None:
    """A message whose key is gone blocks its own run only, and is dead in the end."""
    path, time = tmp_path / "sidecar.db", ManualClock()
    async with StandInReceiver() as receiver:
        async with posting(path, time.clock, key=b"k" * 32, start=False) as post:
            [one] = post.hook(hook(receiver.url))
            post.put(one, "lost", ordering_key="lost")
        async with posting(path, time.clock, key=b"l" * 32) as post:
            post.hook(hook(receiver.url))
            post.put(one, "a")
            await post.until(lambda: post.statuses() == {"lost": "dead"})
            assert bodies(receiver) == ["a"]
            assert post.events[-1][1].error.code == "missing_credentials"


async def test_an_internal_error_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error is retried with pauses."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        faults = [ZeroDivisionError(), ZeroDivisionError()]

        def signed(*arguments: object, **options: object) -> dict[str, str]:
            if faults:
                raise faults.pop()
            return {"webhook-id": "a"}

        monkeypatch.setattr("sidecar.deliveries.webhook_signing.headers", signed)
        [one] = post.hook(hook(receiver.url))
        post.put(one, "a")
        await post.until_empty()
        assert (bodies(receiver), time.time - 1_800_000_000) == (["a"], 20)
        assert post.events[0][1].error.message == INTERNAL_ERROR


async def test_a_server_whose_key_is_not_known_waits_for_its_login(tmp_path: Path) -> None:
    """Without a store key a server's key is lost with its process."""
    path = tmp_path / "sidecar.db"
    async with StandInRtcv() as server:
        location = Credentials(server_location=server.url, api_key_id=KEY_ID, api_key=Secret(KEY))
        async with posting(path, Clock(), start=False) as post:
            [one] = post.services.endpoints.log_in("scope", [location], 0)
            post.outbox.put([OutboxMessage(id="a", endpoint=one, ordering_key="", body=b"{}", kind="result")])
        assert KEY.encode() not in path.read_bytes()
        async with posting(path, Clock()) as post:
            post.deliveries.wake([one])
            await post.until(lambda: post.statuses() == {"a": "waiting"})
            post.services.endpoints.log_in("scope", [location], 0)
            await post.until_empty()
        assert [request.headers["Idempotency-Key"] for request in server.requests] == ["a"]


async def test_a_disk_that_refuses_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sent message whose deletion fails is deleted later and not sent again."""
    time = ManualClock()
    async with StandInReceiver() as receiver, posting(clock=time.clock) as post:
        [one] = post.hook(hook(receiver.url))
        sent, refused = post.outbox.mark_sent, [1]

        def refuse_once(endpoint: str, head: PendingMessage) -> asyncio.Future[None]:
            if not refused:
                return sent(endpoint, head)
            refused.pop()
            noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            noted.set_exception(StoreFailed("could not be stored: database or disk is full"))
            return noted

        monkeypatch.setattr(post.outbox, "mark_sent", refuse_once)
        post.put(one, "a", "b")
        await post.until_empty()
        assert bodies(receiver) == ["a", "b"]


def test_the_back_off_grows_up_to_a_day() -> None:
    """The back-off has jitter and is never longer than a day."""
    assert [backoff_seconds(failures, 0.5) for failures in range(1, 12)] == [
        4, 16, 64, 256, 1024, 4096, 16384, 65536, DAY, DAY, DAY,
    ]  # fmt: skip
    assert {backoff_seconds(1, jitter) for jitter in (0, 1)} == {3, 5}
    assert backoff_seconds(10**9, 1) == DAY


async def test_many_lists_have_pages(tmp_path: Path) -> None:
    """Pages have fifty entries, oldest first; one past the end is empty."""
    async with posting(start=False) as post:
        [one] = post.hook(hook("http://h.example/secret-path"))
        post.put(one, *(f"{number}" for number in range(120)))
        await post.database.flush()
        pages = [post.deliveries.list_page(None, page) for page in (1, 3, 4)]
        assert [(page.total_count, page.total_pages) for page in pages] == [(120, 3)] * 3
        assert [len(page.deliveries) for page in pages] == [50, 20, 0]
        assert pages[1].deliveries[0].id == "100"
        assert pages[0].deliveries[0].host == "h.example"
        assert "secret-path" not in repr(pages)
        assert post.deliveries.list_page("dead", 1).deliveries == ()

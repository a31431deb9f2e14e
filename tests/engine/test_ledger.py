"""The ledger: what has been served of each granted download."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagrams import ETAG, SIZE2, request
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from headgate.errors import GrantLimitError, HeadgateError
from headgate.model import Progress

KEY = "Zk3_x-0aBcDeFgHi"
NOTHING, STARTED, COMPLETED, BOTH = range(4)
GIB = 2**30
THREADS, ROUNDS = 3, 600_000


@pytest.fixture
def record(ledger):
    """Counts blocks (offset, length) of a body of 1300 bytes: the mark, and the run as it stands then."""
    index = ledger.allocate()

    def count(offset, length=512, *, body=1300, now_ns=1):
        mark = ledger.count(index, offset, min(length, body - offset), body, now_ns)
        progress = ledger.progress(index)
        return mark, (progress.start_bytes, progress.offset_bytes)

    count.progress = lambda: ledger.progress(index)
    return count


# -- A run --


def test_record_that_was_never_used_is_zero(ledger):
    """Nothing was served, so nothing was served to the end either."""
    progress = ledger.progress(ledger.allocate())
    assert progress == Progress(
        started_monotonic_s=0, served_monotonic_s=0, start_bytes=0, offset_bytes=0, position_bytes=0,
        length_bytes=0, blocks=0, bytes=0, repeats=0, runs=0,
    )  # fmt: skip
    assert not progress.served_to_end


def test_whole_download(record):
    """Each block continues the run; the first and the last leave their marks."""
    assert record(0, now_ns=1_000_000_000) == (STARTED, (0, 512))
    assert record(512, now_ns=2_000_000_000) == (NOTHING, (0, 1024))
    assert not record.progress().served_to_end
    assert record(1024, now_ns=3_500_000_000) == (COMPLETED, (0, 1300))
    assert record.progress() == Progress(
        started_monotonic_s=1.0, served_monotonic_s=3.5, start_bytes=0, offset_bytes=1300,
        position_bytes=1300, length_bytes=1300, blocks=3, bytes=1300, repeats=0, runs=1,
    )  # fmt: skip
    assert record.progress().served_to_end


@pytest.mark.parametrize("body", [0, 1, 512])
def test_body_of_one_block_starts_and_completes_at_once(record, body):
    """The empty one, too: it was asked for, and it is all there."""
    assert record(0, body=body) == (BOTH, (0, body))
    assert record.progress().served_to_end
    assert record(0, body=body) == (NOTHING, (0, body))
    assert (record.progress().blocks, record.progress().repeats) == (2, 1)


def test_repeated_block_changes_nothing_but_the_counts(record):
    """A retransmission: inside the run already."""
    record(0)
    record(512)
    assert record(512) == (NOTHING, (0, 1024))
    assert record(0) == (NOTHING, (0, 1024))
    progress = record.progress()
    assert (progress.blocks, progress.bytes, progress.repeats, progress.runs) == (4, 2048, 2, 1)


def test_overlapping_block_extends_the_run(record):
    """After a change of size: 1024 bytes, of which the first half was served."""
    record(0, 512)
    assert record(0, 1024) == (NOTHING, (0, 1024))
    assert (record.progress().repeats, record.progress().runs) == (0, 1)


def test_smaller_blocks_continue_the_run(record):
    """NUM is counted anew, bytes are not."""
    record(0, 1024)
    assert record(1024, 16) == (NOTHING, (0, 1040))
    assert record(1040, 256) == (NOTHING, (0, 1296))
    assert record(1296, 64) == (COMPLETED, (0, 1300))


def test_resume_in_the_middle_begins_a_run_there(record):
    """A device that kept its first bytes: the run tells where it began, so nothing is overstated."""
    assert record(512) == (STARTED, (512, 1024))
    assert not record.progress().served_to_end
    assert record(1024) == (COMPLETED, (512, 1300))
    assert record.progress().served_to_end
    assert record.progress().runs == 1


def test_jump_ahead_begins_another_run(record):
    """What lies between was not served."""
    record(0)
    assert record(1024) == (COMPLETED, (1024, 1300))
    assert record.progress().runs == 2


def test_jump_back_before_the_run_begins_another(record):
    """The device starts over after a resume: completed again when it reaches the end without a gap."""
    record(1024)
    assert record(0) == (NOTHING, (0, 512))
    assert record(512) == (NOTHING, (0, 1024))
    assert record(1024) == (COMPLETED, (0, 1300))
    assert record.progress().runs == 2


def test_starting_over_inside_the_run_shows_in_the_position(record):
    """Served is served: the run stays, the blocks are repeats, and the position tells where the device is."""
    record(0)
    record(512)
    assert record.progress().position_bytes == 1024
    assert record(0) == (NOTHING, (0, 1024))
    assert record.progress().position_bytes == 512
    assert record(512) == (NOTHING, (0, 1024))
    assert record(1024) == (COMPLETED, (0, 1300))
    assert record.progress().position_bytes == 1300


def test_completed_once(record):
    """The last block asked again, and the whole download again, leave no second mark."""
    for offset in (0, 512, 1024):
        record(offset)
    for offset in (1024, 0, 512, 1024):
        assert record(offset)[0] == NOTHING
    assert record.progress().served_to_end


def test_started_once(record):
    """Whatever offset comes first, and whatever follows."""
    assert [record(offset)[0] & STARTED for offset in (1024, 0, 0, 512, 1024)] == [STARTED, 0, 0, 0, 0]


def test_top_of_the_range(record):
    """1 GiB: offsets use 31 bits of each half of the run's word."""
    assert record(0, 1024, body=GIB) == (STARTED, (0, 1024))
    assert record(GIB - 2048, 1024, body=GIB) == (NOTHING, (GIB - 2048, GIB - 1024))
    assert record(GIB - 1024, 1024, body=GIB) == (COMPLETED, (GIB - 2048, GIB))
    assert (record.progress().position_bytes, record.progress().length_bytes) == (GIB, GIB)
    assert record.progress().served_to_end


def test_time_may_be_as_large_as_its_word(record):
    """64 bits of nanoseconds."""
    record(0, now_ns=2**64 - 1)
    assert record.progress().started_monotonic_s == pytest.approx((2**64 - 1) / 1e9)


blocks = st.lists(st.tuples(st.sampled_from([16, 64, 512, 1024]), st.integers(0, 90)), max_size=60)


@given(body=st.sampled_from([0, 1, 16, 512, 1300, 1440]), asked=blocks)
def test_any_sequence_of_blocks_agrees_with_a_model(body, asked):
    """The run as the header's words have it: continued or overlapped, repeated, or begun anew."""
    ledger = Ledger(1)
    index = ledger.allocate()
    start = end = served = repeats = runs = count = 0
    for size, num in asked:
        offset = num * size % max(body, 1) // size * size
        length = min(size, body - offset)
        mark = NOTHING
        if count == 0:
            mark |= STARTED
        if count and start <= offset and offset + length <= end:
            repeats += 1
        else:
            if count == 0 or not start <= offset <= end:
                start, runs = offset, runs + 1
            end = offset + length
            if end == body:
                mark |= COMPLETED
        count, served = count + 1, served + length
        assert ledger.count(index, offset, length, body, count) == mark
        assert ledger.progress(index) == Progress(
            started_monotonic_s=1e-9, served_monotonic_s=count / 1e9, start_bytes=start, offset_bytes=end,
            position_bytes=offset + length, length_bytes=body, blocks=count, bytes=served, repeats=repeats,
            runs=runs,
        )  # fmt: skip


# -- Records --


def test_records_are_given_out_once_each(ledger):
    """Until all are in use."""
    assert [ledger.allocate() for _ in range(8)] == list(range(8))
    with pytest.raises(GrantLimitError, match="all 8 ledger records are in use") as caught:
        ledger.allocate()
    assert isinstance(caught.value, HeadgateError)


@pytest.mark.parametrize(
    ("limit", "error"),
    [(0, ValueError), (2**24 + 1, ValueError), (2**32, OverflowError), (-1, OverflowError)],
)
def test_limit_out_of_range(limit, error):
    """1 to 2**24 records: 1 GiB of address space."""
    with pytest.raises(error):
        Ledger(limit)


def test_largest_ledger_costs_address_space_only():
    """Memory is used as records are: making it is instant, and it is zero."""
    ledger = Ledger(2**24)
    assert ledger.limit == 2**24
    assert ledger.words().nbytes == GIB
    assert ledger.words()[2**24 - 1, 0] == 0


@pytest.mark.parametrize("index", [0, 1, 7, 8, 2**32 - 1])
def test_record_that_was_never_given_out(ledger, index):
    """Has no progress, and takes no block."""
    with pytest.raises(IndexError):
        ledger.progress(index)
    with pytest.raises(IndexError):
        ledger.count(index, 0, 1, 1, 1)


def test_block_past_its_body_is_no_block(ledger):
    """The sum is taken in 64 bits: it cannot wrap into the body."""
    index = ledger.allocate()
    for offset, length, body in ((0, 2, 1), (1, 1, 1), (2**32 - 1, 2, 1), (2**31, 2**31, 2**31)):
        with pytest.raises(IndexError):
            ledger.count(index, offset, length, body, 1)
    assert ledger.progress(index).blocks == 0


def test_words_are_the_records(ledger):
    """A record of 64 bytes is eight words in the order of the C struct, and agrees with `progress`."""
    words = ledger.words()
    assert (words.shape, words.nbytes, words.itemsize, words.readonly) == ((8, 8), 8 * 64, 8, True)
    for index in range(3):
        assert ledger.allocate() == index
    ledger.count(1, 512, 512, 1300, 5)
    ledger.count(1, 512, 512, 1300, 6)
    ledger.count(1, 0, 512, 1300, 7)
    first_ns, last_ns, run, count, served, repeats, runs, position_length = words.tolist()[1]
    assert ledger.progress(1) == Progress(
        started_monotonic_s=first_ns / 1e9, served_monotonic_s=last_ns / 1e9, start_bytes=run >> 32,
        offset_bytes=run & 0xFFFFFFFF, position_bytes=position_length >> 32,
        length_bytes=position_length & 0xFFFFFFFF, blocks=count, bytes=served, repeats=repeats, runs=runs,
    )  # fmt: skip
    assert (first_ns, last_ns, run, count, served, repeats, runs) == (5, 7, 512, 3, 1536, 1, 2)
    assert position_length == 512 << 32 | 1300
    assert words.tolist()[0] == words.tolist()[2] == [0] * 8
    with pytest.raises(TypeError):
        words[1, 0] = 1


def test_words_outlive_the_ledger():
    """The view holds the mapping."""
    words = Ledger(8).words()
    assert words.tolist() == [[0] * 8] * 8


def test_served_between(ledger):
    """From inclusive, until exclusive, by the last block; what was never served is in no window."""
    for index, now_ns in enumerate((10, 20, 20, 30)):
        ledger.count(ledger.allocate(), 0, 1, 2, now_ns)
        assert index < ledger.limit
    ledger.allocate()
    assert ledger.served_between(10, 30) == [0, 1, 2]
    assert ledger.served_between(20, 20) == []
    assert ledger.served_between(20, 21) == [1, 2]
    assert ledger.served_between(11, 20) == []
    assert ledger.served_between(31, 2**64 - 1) == []
    assert ledger.served_between(30, 2**64 - 1) == [3]
    assert ledger.served_between(0, 2**64 - 1) == [0, 1, 2, 3]
    assert ledger.served_between(0, 1) == []
    ledger.count(0, 1, 1, 2, 40)
    assert ledger.served_between(10, 30) == [1, 2]
    assert ledger.served_between(40, 41) == [0]


# -- As the responder writes it --


@pytest.fixture
def granted(catalog, make_package):
    """(respond, progress) of a grant of 1300 bytes."""
    index = catalog.grant(KEY.encode(), make_package(bytes(1300)))
    return Responder(catalog).respond, lambda: catalog.ledger.progress(index)


def test_every_block_of_a_grant_is_counted(granted):
    """By its payload and at its time."""
    respond, progress = granted
    for num in range(3):
        respond(request(KEY, block2=(num, 5)), now_ns=num + 5)
    assert progress() == Progress(
        started_monotonic_s=5e-9, served_monotonic_s=7e-9, start_bytes=0, offset_bytes=1300,
        position_bytes=1300, length_bytes=1300, blocks=3, bytes=1300, repeats=0, runs=1,
    )  # fmt: skip


def test_only_blocks_are_counted(granted):
    """2.03, errors, and what is no request leave the record as it is."""
    respond, progress = granted
    etag = bytes.fromhex("4ea0") + respond(request(KEY))[1][11:17]
    before = progress()
    for asked, outcome in (
        (request(KEY, (ETAG, etag)), "2.03"),
        (request(KEY, block2=(3, 5)), "4.00"),
        (request(KEY, block2=(0, 7)), "4.00"),
        (request(KEY, code=3), "4.05"),
        (request(KEY, (13, b"")), "4.02"),
        (request(KEY, (17, b"")), "4.06"),
        (request(KEY, (5, b"")), "4.12"),
        (request(KEY, (35, b"coap://x")), "5.05"),
        (request(KEY, type=2), "format"),
        (request(KEY, (SIZE2, b""), code=0x45), "unexpected response"),
    ):
        assert respond(asked)[0] == outcome
    assert respond(request(KEY), truncated=True)[0] == "4.13"
    assert progress() == before


def test_public_paths_are_not_counted(catalog, make_package):
    """An anonymous download costs no memory."""
    catalog.publish(b"fw", make_package(bytes(1300)))
    index = catalog.grant(KEY.encode(), make_package(bytes(1300)))
    Responder(catalog).respond(request("fw", block2=(0, 5)))
    assert catalog.ledger.progress(index).blocks == 0


def test_two_grants_of_one_package_are_counted_apart(catalog, make_package):
    """One record per device."""
    package = make_package(bytes(1300))
    first, second = catalog.grant(b"first-----------", package), catalog.grant(b"second----------", package)
    respond = Responder(catalog).respond
    respond(request("first-----------", block2=(0, 5)))
    respond(request("second----------", block2=(1, 6)))
    assert catalog.ledger.progress(first).offset_bytes == 512
    assert catalog.ledger.progress(second).start_bytes == 1024


# -- From several threads --


def count_at_once(make_package, nums):
    """Progress after three threads have served these blocks of one grant again and again, without the GIL."""
    catalog = Catalog(Ledger(1))
    catalog.grant(KEY.encode(), make_package(bytes(1300)))
    responder = Responder(catalog)
    asked = [request(KEY, block2=(num, 5)) for num in nums]
    serving = [
        threading.Thread(target=responder._py_respond_many, args=(asked, ROUNDS)) for _ in range(THREADS)
    ]
    for thread in serving:
        thread.start()
    for thread in serving:
        thread.join()
    return catalog.ledger.progress(0)


def test_no_count_is_lost_between_threads(make_package):
    """Every block and every byte is there, and the two ends of the run belong together."""
    progress = count_at_once(make_package, (0, 1, 2))
    assert progress.blocks == THREADS * ROUNDS * 3
    assert progress.bytes == THREADS * ROUNDS * 1300
    assert progress.start_bytes < progress.offset_bytes
    assert progress.start_bytes in (0, 512, 1024)
    assert progress.offset_bytes in (512, 1024, 1300)
    assert progress.runs + progress.repeats <= progress.blocks


def test_no_repeat_is_lost_between_threads(make_package):
    """Of one block that all ask, each thread's first may be no repeat; all others are."""
    progress = count_at_once(make_package, (1, 1, 1))
    assert (progress.start_bytes, progress.offset_bytes) == (512, 1024)
    assert progress.blocks == THREADS * ROUNDS * 3
    assert progress.blocks - THREADS <= progress.repeats < progress.blocks
    assert 1 <= progress.runs <= THREADS

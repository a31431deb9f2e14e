"""Many virtual devices in one thread, each downloading a CoAP resource by Block2 (RFC 7959)."""

import mmap

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from headgate.fleet.blockwise cimport FAILURE_COUNT, PATH_BYTES_MAX, SZX_UNKNOWN
from headgate.fleet.chance cimport chance_below, chance_happens, chance_next, chance_seed
from headgate.fleet.devices cimport (
    DEVICES_MAX,
    EXACT_PER_SOCKET_MAX,
    Device,
    device_wait,
    devices_free,
    devices_make,
)
from headgate.fleet.latency cimport Latency, latency_quantile
from headgate.fleet.ports cimport ports_close, ports_open
from headgate.fleet.run cimport (
    RETRANSMIT_MAX,
    RUN_DONE,
    RUN_FAULT,
    RUN_STOPPED,
    Path,
    RunResult,
    run_prepare,
    run_resume,
    run_start,
    run_turns,
)
from headgate.wire.block cimport BLOCK_BODY_MAX, BLOCK_NUM_MAX, BLOCK_SZX_MAX, block_size
from headgate.wire.coap cimport CON, NON, URI_PATH, option_write

from headgate.errors import BlockError, PathError
from headgate.fleet.counts import DownloaderStats, DownloadFailure

cdef enum:
    SLICE_NS = 100000000              # how often a run looks for signals, such as Ctrl-C

cdef double NS_PER_S = 1e9
cdef tuple FAILURES = (None, *DownloadFailure)
if len(FAILURES) != FAILURE_COUNT:
    raise AssertionError("counts.DownloadFailure and blockwise.Failure differ")


cdef uint64_t share_of(str name, double probability) except? 1:
    if not 0 <= probability <= 1:
        raise ValueError(f"{name} is a probability of 0..1, not {probability}")
    return <uint64_t>(probability * 4294967296.0)


def path_options(str path not None):
    """The Uri-Path options of one path as bytes: RFC 7252 section 6.4 step 8, without percent-decoding.

    Raises PathError for a segment over 255 bytes and for more than 1024 bytes in all.

    >>> path_options("/p/ab").hex()
    'b170026162'
    >>> path_options("/")
    b''
    """
    cdef uint8_t out[PATH_BYTES_MAX + 261]
    cdef uint32_t at = 0
    cdef bytes value
    path = path.removeprefix("/")
    for segment in path.split("/") if path else ():
        value = segment.encode()
        if len(value) > 255:
            raise PathError(f"a Uri-Path segment has at most 255 bytes, not {len(value)}")
        at += option_write(out + at, URI_PATH if at == 0 else 0, value, <uint32_t>len(value))
        if at > PATH_BYTES_MAX:
            raise PathError(f"Uri-Path options have at most {PATH_BYTES_MAX} bytes: {path[:80]!r}...")
    return out[:at]


@cython.final
cdef class Downloader:
    """`devices` virtual devices, each downloading `path` from `host`:`port` block by block, and checking.

    Every answer must be 2.05 with the right Block2, length, ETag, Size2 and bytes of `body`; a device
    that gets another one has failed, with a DownloadFailure. Late and duplicated answers are `stale`.
    `check_etag` False is for servers that give each transfer an ETag of its own.

    `path` is one for all or one per device. `in_flight` devices ask at a time (None: all), taking
    turns block by block. `sockets` UDP ports are shared out among them. `szx` None leaves the block
    size to the server. `token_bytes` 0 tells answers apart by message id. `start` is "zero" or
    "random": some block boundary, as after a resume. `restart_from_new_port` is the share of devices
    that change their port half-way. `repeat` downloads over and over. `loss`, `duplicate` and
    `reorder` are probabilities per datagram. `rate` sends that many requests per second whether or
    not the server keeps up. `keep` assembles every device's image. With `floor` the peer is an Echo.
    The same `seed` takes the same chances, in so far as the same datagrams come.

    >>> Downloader(host="127.0.0.1", port=5683, path="/p", body=bytes(1000), devices=3).stats.active
    3
    """

    def __cinit__(
        self,
        *,
        str host not None,
        int port,
        path,
        const uint8_t[::1] body not None,
        unsigned int devices,
        in_flight=None,
        unsigned int sockets=1,
        szx=None,
        bint confirmable=True,
        unsigned int token_bytes=4,
        bint size2=False,
        etag=None,
        bint check_etag=True,
        str start not None="zero",
        double restart_from_new_port=0.0,
        bint repeat=False,
        double loss=0.0,
        double duplicate=0.0,
        double reorder=0.0,
        seed=0,
        double ack_timeout_s=2.0,
        unsigned int max_retransmit=4,
        rate=None,
        bint keep=False,
        bint floor=False,
    ):
        cdef uint32_t slots = devices if in_flight is None else in_flight
        if not 1 <= devices <= DEVICES_MAX:
            raise ValueError(f"devices is 1..{DEVICES_MAX}, not {devices}")
        if not 1 <= slots <= devices:
            raise ValueError(f"in_flight is 1..{devices}, not {slots}")
        if not 1 <= sockets <= devices:
            raise ValueError(f"sockets is 1..{devices}, not {sockets}")
        if szx is not None and not 0 <= szx <= BLOCK_SZX_MAX:
            raise ValueError(f"szx is 0..{BLOCK_SZX_MAX} or None, not {szx}")
        if token_bytes > 8:
            raise ValueError(f"token_bytes is 0..8, not {token_bytes}")
        if etag is not None and not 1 <= len(etag) <= 8:
            raise ValueError(f"an ETag has 1..8 bytes, not {len(etag)}")
        if start not in ("zero", "random"):
            raise ValueError(f"start is 'zero' or 'random', not {start!r}")
        if start == "random" and szx is None:
            raise ValueError("a first request that names no block size starts at zero: give szx")
        if restart_from_new_port > 0 and sockets == 1:
            raise ValueError("restart_from_new_port needs more than one socket")
        if not 0.001 <= ack_timeout_s <= 1000:
            raise ValueError(f"ack_timeout_s is 0.001..1000, not {ack_timeout_s}")
        if max_retransmit > RETRANSMIT_MAX:
            raise ValueError(f"max_retransmit is 0..{RETRANSMIT_MAX}, not {max_retransmit}")
        if rate is not None and rate <= 0:
            raise ValueError(f"rate is a number of blocks per second, not {rate}")
        if body.shape[0] > BLOCK_BODY_MAX:
            raise BlockError(f"a body has at most {BLOCK_BODY_MAX} bytes, not {body.shape[0]}")
        if szx is not None and body.shape[0] > (BLOCK_NUM_MAX + 1) << (szx + 4):
            raise BlockError(f"{body.shape[0]} bytes have more than {BLOCK_NUM_MAX + 1} blocks of SZX {szx}")

        self._run = <Run*>calloc(1, sizeof(Run))
        if self._run == NULL:
            raise MemoryError
        cdef Run* run = self._run
        run.epoll = -1
        run_prepare(run)
        run.chance = chance_seed(<uint64_t>(seed & 0xFFFFFFFFFFFFFFFF))
        # A ring per socket keeps requests spread over the sockets, whichever devices are in flight.
        # With more sockets than slots that is impossible, and one ring turns through all devices.
        if not devices_make(&run.all, devices, slots, sockets if sockets <= slots else 1, token_bytes,
                            chance_next(&run.chance)):
            raise MemoryError
        run.exclusive = sockets == devices and restart_from_new_port == 0
        if run.all.exact:
            if not confirmable and not floor and not run.exclusive:
                raise ValueError(
                    f"tokens of {token_bytes} bytes do not tell answers to {slots} NON requests apart: "
                    "give longer tokens, or each device its own socket")
            if slots > EXACT_PER_SOCKET_MAX * sockets:
                raise ValueError(
                    f"with tokens of {token_bytes} bytes at most {EXACT_PER_SOCKET_MAX} requests per socket "
                    "can be in flight: give longer tokens or more sockets")
        run.type = CON if confirmable else NON
        run.szx = SZX_UNKNOWN if szx is None else szx
        run.size2 = size2
        run.repeat = repeat
        run.floor = floor
        run.retransmit_max = <uint8_t>max_retransmit
        run.ack_timeout_us = <uint32_t>(ack_timeout_s * 1e6)
        run.loss = share_of("loss", loss)
        run.duplicate = share_of("duplicate", duplicate)
        run.reorder = share_of("reorder", reorder)
        run.interval_ns = 0.0 if rate is None else NS_PER_S / rate
        self._take_body(body, etag, check_etag, keep)
        self._take_paths(path)
        ports_open(run, host, port, sockets)
        self._place_devices(start == "random", share_of("restart_from_new_port", restart_from_new_port))
        run_start(run)

    def __dealloc__(self):
        if self._run != NULL:
            ports_close(self._run)
            devices_free(&self._run.all)
            free(self._run.ports)
            free(self._run.paths)
            free(self._run)

    cdef _take_body(self, const uint8_t[::1] body, etag, bint check_etag, bint keep):
        cdef uint8_t[::1] images
        cdef size_t size
        cdef bytes tag
        self._body = body
        self._run.body.etag_ignored = not check_etag
        self._run.body.length = <uint32_t>body.shape[0]
        if body.shape[0] > 0:
            self._run.body.data = &body[0]
        if etag is not None:
            tag = bytes(etag)
            self._run.body.etag_known = True
            self._run.body.etag_length = <uint8_t>len(tag)
            memcpy(self._run.body.etag, <const uint8_t*>tag, len(tag))
        if keep:
            # The kernel makes pages as they are written. There is no mapping of nothing, but an empty
            # body has images all the same.
            size = <size_t>self._run.all.device_count * self._run.body.length
            self._images = mmap.mmap(-1, size or 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            images = self._images
            self._run.images = &images[0]

    cdef _take_paths(self, path):
        cdef dict indexes = {}
        cdef list parts = []
        cdef uint32_t device, offset
        cdef list paths
        if isinstance(path, str):
            indexes[path] = 0
        else:
            paths = list(path)
            if len(paths) != self._run.all.device_count:
                raise ValueError(f"one path, or one for each of {self._run.all.device_count} devices, "
                                 f"not {len(paths)}")
            for device in range(self._run.all.device_count):
                self._run.all.devices[device].path = indexes.setdefault(paths[device], len(indexes))
        self._run.paths = <Path*>calloc(len(indexes), sizeof(Path))
        if self._run.paths == NULL:
            raise MemoryError
        offset = 0
        for index, text in enumerate(indexes):
            options = path_options(text)
            self._run.paths[<uint32_t>index].offset = offset
            self._run.paths[<uint32_t>index].length = <uint32_t>len(options)
            offset += <uint32_t>len(options)
            parts.append(options)
        self._path_bytes = b"".join(parts)
        self._run.path_bytes = self._path_bytes

    cdef _place_devices(self, bint random_start, uint64_t moving):
        """Put every device on its socket, at its first block, and into its ring."""
        cdef Run* run = self._run
        cdef uint32_t index
        cdef uint32_t size = 0 if run.szx == SZX_UNKNOWN else block_size(run.szx)
        cdef Device* device
        for index in range(run.all.device_count):
            device = &run.all.devices[index]
            device.socket = index % run.port_count
            device.szx = run.szx
            if random_start and run.body.length > 0:
                device.offset = chance_below(&run.chance, (run.body.length - 1) // size + 1) * size
                if run.images != NULL:
                    memcpy(run.images + <size_t>index * run.body.length, run.body.data, device.offset)
            device.moves = chance_happens(&run.chance, moving)
            device_wait(&run.all, index)

    def run(self, duration_s=None, *, blocks=None):
        """Download until every device is done: True; False when `duration_s` has passed, `blocks` more blocks
        were accepted (give or take a batch) or `stop` was called.

        Releases the GIL. May be called again to go on: time spent outside does not count, neither for
        timeouts nor for latencies. Raises OSError when a socket fails for good.
        """
        cdef RunResult result
        cdef uint64_t until_ns, slice_ns, until_blocks
        cdef Run* run = self._run
        if duration_s is not None and not duration_s >= 0:
            raise ValueError(f"duration_s is at least 0, not {duration_s}")
        if self._running:
            raise RuntimeError("the downloader is running in another thread")
        if run.port_count == 0:
            raise RuntimeError("the downloader is closed")
        until_ns = <uint64_t>-1 if duration_s is None else run.now_ns + <uint64_t>(duration_s * NS_PER_S)
        until_blocks = <uint64_t>-1 if blocks is None else run.blocks + <uint64_t>blocks
        self._running = True
        try:
            run_resume(run)
            while True:
                slice_ns = min(until_ns, run.now_ns + SLICE_NS)
                with nogil:
                    result = run_turns(run, slice_ns, until_blocks)
                if result == RUN_DONE:
                    return True
                if result == RUN_FAULT:
                    fault = run.fault
                    run.fault = 0
                    raise OSError(fault, "a socket of the fleet failed")
                if result == RUN_STOPPED:
                    run.stopped = False
                    return False
                if run.now_ns >= until_ns or run.blocks >= until_blocks:
                    return False
                PyErr_CheckSignals()
        finally:
            self._running = False

    def stop(self):
        """Make `run` return False, within 20 ms. From any thread; when none is running, the next run."""
        self._run.stopped = True

    def close(self):
        """Close the sockets. The counts and images stay."""
        if self._running:
            raise RuntimeError("the downloader is running in another thread")
        ports_close(self._run)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def stats(self):
        """The counts as they are now, as DownloaderStats."""
        cdef Run* run = self._run
        cdef int failure
        cdef dict failures = {}
        for failure in range(<int>FAILURE_COUNT):
            if run.failures[failure] > 0:
                failures[FAILURES[failure]] = run.failures[failure]
        return DownloaderStats(
            blocks=run.blocks,
            bytes=run.bytes,
            requests=run.requests,
            retransmissions=run.retransmissions,
            stale=run.stale,
            malformed=run.malformed,
            lost=run.lost,
            finished=run.finished,
            failed=sum(failures.values()),
            active=run.all.active,
            moved=run.moved,
            failures=failures,
            elapsed_s=<double>run.now_ns / NS_PER_S,
        )

    @property
    def last_code(self):
        """The code of the last answer that was not 2.05, as the header byte, or None."""
        return self._run.last_code or None

    def failure(self, unsigned int device):
        """Why device `device` failed, a DownloadFailure, or None."""
        if device >= self._run.all.device_count:
            raise IndexError(f"device is 0..{self._run.all.device_count - 1}, not {device}")
        return FAILURES[self._run.all.devices[device].failure]

    def latency(self, double q):
        """Seconds from request to answer, quantile `q` of 0..1; of requests that were sent once only.

        From a histogram of 8 buckets per power of two; 0.0 when there is none yet.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is 0..1, not {q}")
        return latency_quantile(&self._run.latency, q) / NS_PER_S

    def latency_reset(self):
        """Forget the latencies so far, such as those of a warm-up."""
        memset(&self._run.latency, 0, sizeof(Latency))

    def image(self, unsigned int device):
        """What device `device` holds, as a read-only memoryview of the whole body's length."""
        cdef size_t length = self._run.body.length
        if self._images is None:
            raise RuntimeError("images are only kept with keep=True")
        if device >= self._run.all.device_count:
            raise IndexError(f"device is 0..{self._run.all.device_count - 1}, not {device}")
        return memoryview(self._images)[device * length:(device + 1) * length].toreadonly()

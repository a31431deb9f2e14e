"""The loop of a downloading fleet: receive a batch, advance the devices it answers, send a batch."""

from libc.errno cimport (
    EAGAIN,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINTR,
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS,
    errno,
)
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from headgate.fleet.answers cimport device_fail, echo_handle, response_handle
from headgate.fleet.blockwise cimport FAILED_TIMEOUT, BlockRequest, block_request_write
from headgate.fleet.chance cimport chance_below, chance_happens
from headgate.fleet.devices cimport (
    NOBODY,
    SLOT_ACKNOWLEDGED,
    SLOT_AWAITING,
    SLOT_QUEUED,
    Device,
    Slot,
    device_take,
    outbox_count,
    outbox_put,
    outbox_take,
    slot_close,
    slot_name,
    slot_token,
)
from headgate.fleet.sockets cimport (
    MSG_DONTWAIT,
    MSG_WAITFORONE,
    POLLIN,
    POLLOUT,
    epoll_event,
    epoll_wait,
    poll,
    pollfd,
    ppoll,
    recv,
    recvmmsg,
    send,
    sendmmsg,
)
from headgate.wire.coap cimport NON


cdef uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


cdef inline void clock_read(Run* run) noexcept nogil:
    run.now_ns = monotonic_ns() - run.started_ns


# Errors that a peer or the path to it causes: a server that restarts, a route that flaps. They are
# reported to whoever calls next and mean nothing more than a lost datagram, which has its timer.
cdef inline bint fault_passes(int fault) noexcept nogil:
    return (fault == ECONNREFUSED or fault == EHOSTUNREACH or fault == ENETUNREACH or fault == ENETDOWN
            or fault == EINTR)


# -- receiving --

# Receive at most `count` datagrams from one port and handle them; returns how many there were.
cdef int port_receive(Run* run, uint32_t port, uint32_t count, int flags) noexcept nogil:
    cdef int received, i
    if count == 1:
        # With a port per device recv and send take 4.6 us per block, where the batch calls take 5.3.
        received = <int>recv(run.ports[port].fd, run.rx_bytes[0], DATAGRAM_MAX, flags)
        run.rx[0].msg_len = <unsigned int>received
        received = 1 if received >= 0 else -1
    else:
        received = recvmmsg(run.ports[port].fd, run.rx, count, flags, NULL)
    clock_read(run)
    if received < 0:
        if errno != EAGAIN and not fault_passes(errno):
            run.fault = errno
        return 0
    for i in range(received):
        if chance_happens(&run.chance, run.loss):
            run.lost += 1
        elif run.floor:
            echo_handle(run, port, run.rx_bytes[i], run.rx[i].msg_len)
        else:
            response_handle(run, port, run.rx_bytes[i], run.rx[i].msg_len)
    return received


# -- sending --

# Write the slot's request, for the first time or again; returns its length, 0 when no message id is
# free at present. RFC 7252 section 4.2: a CON is repeated as it was; a NON has no retransmission, so
# the device asks anew, with a new message id.
cdef uint32_t request_build(Run* run, uint32_t slot, uint8_t* out) noexcept nogil:
    cdef Slot* asking = &run.all.slots[slot]
    cdef Device* device = &run.all.devices[asking.device]
    cdef Port* port = &run.ports[device.socket]
    cdef BlockRequest request
    cdef uint64_t token
    if asking.transmissions == 0 or run.type == NON:
        if not slot_name(&run.all, slot, device.socket, &port.next_id):
            return 0
    if asking.transmissions == 0:
        asking.sent_ns = run.now_ns
        asking.timeout_us = run.ack_timeout_us + chance_below(&run.chance, run.ack_timeout_us // 2 + 1)
    else:
        run.retransmissions += 1
        if asking.timeout_us < TIMEOUT_MAX_US:
            asking.timeout_us *= 2
    asking.transmissions += 1
    asking.deadline_ns = run.now_ns + <uint64_t>asking.timeout_us * 1000
    run.requests += 1
    port.slot = slot

    token = slot_token(&run.all, slot)
    request.type = run.type
    request.message_id = asking.message_id
    request.token = <const uint8_t*>&token
    request.token_length = run.all.token_length
    request.path = run.path_bytes + run.paths[device.path].offset
    request.path_length = run.paths[device.path].length
    request.offset = device.offset
    request.szx = device.szx
    request.size2 = run.size2
    return block_request_write(out, &request)


# The kernel would not take the slot's request: as if it had not been built, and next in the outbox.
cdef void request_return(Run* run, uint32_t slot) noexcept nogil:
    cdef Slot* asking = &run.all.slots[slot]
    run.requests -= 1
    if asking.transmissions == 1:
        slot_close(&run.all, slot, run.all.devices[asking.device].socket)
    else:
        run.retransmissions -= 1
        asking.transmissions -= 1
        asking.timeout_us //= 2
    outbox_put(&run.all, slot)


cdef inline void entry_fill(Run* run, uint32_t entry, uint32_t slot, uint32_t port, uint8_t* data,
                            uint32_t length) noexcept nogil:
    run.tx_slices[entry].iov_base = data
    run.tx_slices[entry].iov_len = length
    run.tx_slots[entry] = slot
    run.tx_ports[entry] = port


# Hold some requests back behind the next one of the same port.
cdef void entries_reorder(Run* run, uint32_t count) noexcept nogil:
    cdef uint32_t at = 0
    cdef iovec held
    cdef uint32_t slot
    while at + 1 < count:
        if run.tx_ports[at] == run.tx_ports[at + 1] and chance_happens(&run.chance, run.reorder):
            held = run.tx_slices[at]
            slot = run.tx_slots[at]
            run.tx_slices[at] = run.tx_slices[at + 1]
            run.tx_slots[at] = run.tx_slots[at + 1]
            run.tx_slices[at + 1] = held
            run.tx_slots[at + 1] = slot
            at += 1
        at += 1


# Send entries `first` .. `last` - 1, all of one port. What the kernel has no room for goes back to the
# outbox: nothing is lost but its turn.
cdef void entries_send(Run* run, uint32_t first, uint32_t last) noexcept nogil:
    cdef int fd = run.ports[run.tx_ports[first]].fd
    cdef iovec* only
    cdef int refused = 0
    cdef int sent
    while first < last:
        if last - first == 1:
            only = &run.tx_slices[first]
            sent = 1 if send(fd, only.iov_base, only.iov_len, MSG_DONTWAIT) >= 0 else -1
        else:
            sent = sendmmsg(fd, &run.tx[first], last - first, MSG_DONTWAIT)
        if sent > 0:
            first += <uint32_t>sent
        elif fault_passes(errno) and refused < BATCH:
            # An error of an earlier datagram; each is reported once, and then the way is free.
            refused += 1
        else:
            if errno == EAGAIN or errno == ENOBUFS or fault_passes(errno):
                run.blocked = True
            else:
                run.fault = errno
            break
    while first < last:
        if run.tx_slots[first] != NOBODY:
            request_return(run, run.tx_slots[first])
        first += 1


# Send at most `limit` <= BATCH requests of the outbox, with the mischief asked for.
cdef void requests_send(Run* run, uint32_t limit) noexcept nogil:
    cdef uint32_t count = 0           # entries: requests and duplicates
    cdef uint32_t taken, slot, length, port, first, entry
    clock_read(run)
    for taken in range(min(limit, outbox_count(&run.all))):
        if count == BATCH:
            break
        slot = outbox_take(&run.all)
        if run.all.slots[slot].device == NOBODY or run.all.slots[slot].flags & SLOT_ACKNOWLEDGED:
            continue
        length = request_build(run, slot, run.tx_bytes[taken])
        if length == 0:
            outbox_put(&run.all, slot)
            run.blocked = True
            break
        run.paced += 1
        if chance_happens(&run.chance, run.loss):
            run.lost += 1
            continue
        port = run.all.devices[run.all.slots[slot].device].socket
        entry_fill(run, count, slot, port, run.tx_bytes[taken], length)
        count += 1
        if chance_happens(&run.chance, run.duplicate) and count < BATCH:
            entry_fill(run, count, NOBODY, port, run.tx_bytes[taken], length)
            count += 1
    if run.reorder > 0:
        entries_reorder(run, count)
    first = 0
    while first < count:
        entry = first + 1
        while entry < count and run.tx_ports[entry] == run.tx_ports[first]:
            entry += 1
        entries_send(run, first, entry)
        first = entry


# How many requests may be sent now. A schedule that cannot be kept is not made up for: the requests
# missed beyond one batch are given up, for a burst would measure the queue it makes.
cdef uint32_t send_limit(Run* run) noexcept nogil:
    cdef uint64_t due
    if run.interval_ns == 0:
        return BATCH
    due = <uint64_t>((<double>run.now_ns - run.paced_from_ns) / run.interval_ns)
    if due > run.paced + BATCH:
        run.paced = due - BATCH
    return <uint32_t>(due - run.paced) if due > run.paced else 0


# -- timers --

# Look at the next SWEEP_SLOTS slots for passed deadlines. The period is cut so that the whole table
# is seen every ack_timeout / SWEEPS_PER_TIMEOUT.
cdef void sweep(Run* run) noexcept nogil:
    cdef uint32_t count = min(<uint32_t>SWEEP_SLOTS, run.all.slot_count)
    cdef uint64_t period_ns = <uint64_t>run.ack_timeout_us * 1000 // SWEEPS_PER_TIMEOUT
    cdef uint32_t slot
    cdef Slot* late
    for _ in range(count):
        slot = run.sweep_at
        run.sweep_at = slot + 1 if slot + 1 < run.all.slot_count else 0
        late = &run.all.slots[slot]
        if late.flags & (SLOT_AWAITING | SLOT_QUEUED) != SLOT_AWAITING or late.deadline_ns > run.now_ns:
            continue
        if late.transmissions > run.retransmit_max or late.flags & SLOT_ACKNOWLEDGED:
            device_fail(run, slot, FAILED_TIMEOUT)
        else:
            outbox_put(&run.all, slot)
    run.swept_ns = run.now_ns + period_ns * count // run.all.slot_count


# -- turns --

cdef inline int wait_ms(const Run* run) noexcept nogil:
    cdef uint32_t period_ms
    if run.blocked:
        return BLOCKED_WAIT_MS
    if run.interval_ns > 0 or outbox_count(&run.all) > 0:
        return 0
    period_ms = run.ack_timeout_us // 1000 // SWEEPS_PER_TIMEOUT
    return <int>max(<uint32_t>1, min(<uint32_t>WAIT_MAX_MS, period_ms))


# A fleet that keeps to a rate sleeps until its next request is due or an answer comes, and does not take from
# the server what it waits for. Time that is too short to sleep is spent looking for answers. Where all wait
# for answers already, nothing is due, however late the schedule is.
cdef void rest(Run* run, uint64_t until_ns) noexcept nogil:
    cdef uint64_t due_ns = min(until_ns, run.swept_ns)
    cdef double request_ns = run.paced_from_ns + <double>(run.paced + 1) * run.interval_ns
    cdef uint64_t rest_ns
    cdef timespec timeout
    cdef pollfd waited
    if outbox_count(&run.all) > 0 and request_ns < <double>due_ns:
        due_ns = <uint64_t>request_ns
    if due_ns < run.now_ns + REST_MIN_NS:
        return
    rest_ns = min(due_ns - run.now_ns, <uint64_t>WAIT_MAX_MS * 1000000)
    timeout.tv_sec = 0
    timeout.tv_nsec = <long>rest_ns
    waited.fd = run.ports[0].fd if run.epoll < 0 else run.epoll
    waited.events = POLLIN
    ppoll(&waited, 1, &timeout, NULL)  # whatever ended it, the turn looks itself
    clock_read(run)


# With one port the kernel sleeps inside recvmmsg itself, no longer than the socket's SO_RCVTIMEO.
cdef void turn_of_one(Run* run) noexcept nogil:
    cdef pollfd waited
    cdef int pause_ms = wait_ms(run)
    if run.blocked:
        run.blocked = False
        waited.fd = run.ports[0].fd
        waited.events = POLLIN | POLLOUT
        poll(&waited, 1, pause_ms)
        pause_ms = 0
    port_receive(run, 0, BATCH, MSG_DONTWAIT if pause_ms == 0 else MSG_WAITFORONE)


cdef void turn_of_many(Run* run) noexcept nogil:
    cdef epoll_event events[EVENTS_MAX]
    cdef int ready, i
    # With few requests per port, room for more than could come would cost a second look into an
    # empty queue each time. What is left behind makes the port ready again.
    cdef uint32_t count = min(<uint32_t>BATCH, (run.all.slot_count - 1) // run.port_count + 1)
    ready = epoll_wait(run.epoll, events, EVENTS_MAX, wait_ms(run))
    run.blocked = False
    if ready < 0 and errno != EINTR:
        run.fault = errno
    clock_read(run)
    for i in range(ready):
        port_receive(run, events[i].data.u32, count, MSG_DONTWAIT)
        if outbox_count(&run.all) >= BATCH:
            requests_send(run, send_limit(run))


cdef void run_prepare(Run* run) noexcept nogil:
    cdef int i
    for i in range(BATCH):
        run.rx_slices[i].iov_base = &run.rx_bytes[i][0]
        run.rx_slices[i].iov_len = DATAGRAM_MAX
        run.rx[i].msg_hdr.msg_iov = &run.rx_slices[i]
        run.rx[i].msg_hdr.msg_iovlen = 1
        run.tx[i].msg_hdr.msg_iov = &run.tx_slices[i]
        run.tx[i].msg_hdr.msg_iovlen = 1


cdef void run_start(Run* run) noexcept nogil:
    cdef uint32_t slot
    for slot in range(run.all.slot_count):
        run.all.slots[slot].device = device_take(&run.all, slot % run.all.ring_count)
        outbox_put(&run.all, slot)


cdef void run_resume(Run* run) noexcept nogil:
    run.started_ns = monotonic_ns() - run.now_ns


cdef RunResult run_turns(Run* run, uint64_t until_ns, uint64_t until_blocks) noexcept nogil:
    clock_read(run)
    while run.all.active > 0:
        if run.stopped:
            return RUN_STOPPED
        if run.fault != 0:
            return RUN_FAULT
        if run.now_ns >= until_ns or run.blocks >= until_blocks:
            return RUN_TIME
        if outbox_count(&run.all) > 0 and not run.blocked:
            requests_send(run, send_limit(run))
        if run.interval_ns > 0 and not run.blocked:
            rest(run, until_ns)
        if run.port_count == 1:
            turn_of_one(run)
        else:
            turn_of_many(run)
        if run.now_ns >= run.swept_ns:
            sweep(run)
    return RUN_DONE

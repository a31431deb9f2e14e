"""The catalog of what is served: one hash table, one writer, readers without locks."""

import secrets

from cpython.ref cimport Py_DECREF, Py_INCREF
from cython cimport final, no_gc_clear
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from posix.stdlib cimport posix_memalign

from headgate.engine.atomic cimport (
    fence_sequential, load_acquire, load_relaxed, store_relaxed, store_release,
)
from headgate.engine.segments cimport SEGMENT_TOKEN_LENGTH
from headgate.wire.checks cimport ensure

from headgate.errors import PathError, PathTakenError

cdef enum:
    EMPTY = 0
    TOMBSTONE = 1
    SLOTS_MIN = 64

cdef extern from *:
    """
    #define PATH_MULTIPLIER 0x9FB21C651E98DF25ull
    """
    const uint64_t PATH_MULTIPLIER    # odd, bits well spread
    uint64_t reverse_bytes "__builtin_bswap64"(uint64_t number) noexcept nogil

if sizeof(Reader) != CACHE_LINE or sizeof(CatalogState) % CACHE_LINE != 0:
    raise AssertionError("a reader has a cache line to itself")


cdef void catalog_enter(CatalogState* catalog, Reader* reader) noexcept nogil:
    ensure(load_relaxed(&reader.epoch) == 0)
    store_relaxed(&reader.epoch, load_acquire(&catalog.epoch))
    # Either the writer's scan sees this epoch, or the look-ups below see what it has unlinked.
    fence_sequential()


cdef void catalog_leave(Reader* reader) noexcept nogil:
    ensure(load_relaxed(&reader.epoch) != 0)
    store_release(&reader.epoch, 0)


# Multiply and mix, 8 bytes a step. Only published paths enter the table, so nobody on the wire can
# choose what collides; the seed keeps even publishers from it.
cdef inline uint64_t path_hash(
    uint64_t seed, const uint8_t* path, uint32_t length, Space space
) noexcept nogil:
    cdef uint64_t number = seed ^ length ^ space
    cdef uint64_t word
    while length >= 8:
        memcpy(&word, path, 8)
        number = (number ^ word) * PATH_MULTIPLIER
        number ^= number >> 32
        path += 8
        length -= 8
    word = 0
    memcpy(&word, path, length)
    # Only the top of a product depends on every byte of the word, and a slot is chosen by the low bits.
    return reverse_bytes((number ^ word) * PATH_MULTIPLIER)


cdef inline const Entry* entry_find(
    CatalogState* catalog, const uint8_t* path, uint32_t length, Space space
) noexcept nogil:
    cdef Table* table = <Table*><void*>load_acquire(&catalog.table)
    cdef uint64_t number = path_hash(catalog.seed, path, length, space)
    cdef uint64_t at = number & table.mask
    cdef uint64_t found
    cdef const Entry* entry
    while True:
        found = load_acquire(&table.slots[at].entry)
        if found == EMPTY:
            return NULL
        if table.slots[at].hash == number and found != TOMBSTONE:
            entry = <const Entry*><void*>found
            if entry.path_length == length + space and memcmp(entry.path, path, length) == 0:
                return entry
        at = (at + 1) & table.mask


cdef const Entry* catalog_find(CatalogState* catalog, const uint8_t* path, uint32_t length) noexcept nogil:
    return entry_find(catalog, path, length, PATHS)


cdef SegmentState* catalog_segments(CatalogState* catalog, const uint8_t* token, uint8_t flip) noexcept nogil:
    cdef uint8_t key[SEGMENT_TOKEN_LENGTH]
    cdef const Entry* entry
    memcpy(key, token, SEGMENT_TOKEN_LENGTH)
    key[0] ^= flip
    entry = entry_find(catalog, key, SEGMENT_TOKEN_LENGTH, TOKENS)
    return NULL if entry == NULL else entry.segments


# The first EMPTY slot for this hash; invariant 2 says that there is one.
cdef Slot* empty_slot(Table* table, uint64_t number) noexcept nogil:
    cdef uint64_t at = number & table.mask
    while table.slots[at].entry != EMPTY:
        at = (at + 1) & table.mask
    return &table.slots[at]


cdef Table* table_new(uint64_t slots) noexcept nogil:
    cdef Table* table = <Table*>calloc(1, sizeof(Table) + (slots - 1) * sizeof(Slot))
    if table != NULL:
        table.mask = slots - 1
    return table


# -- Python face --

# no_gc_clear: giving back what is retired needs the ledger, so the collector must not take it away first.
@final
@no_gc_clear
cdef class Catalog:
    """Path -> package. Change it from Python; responders read it from any thread without a lock.

    >>> import hashlib
    >>> from headgate.engine.ledger import Ledger
    >>> from headgate.engine.package import Package
    >>> catalog = Catalog(Ledger(8))
    >>> catalog.publish(b"fw/v2.bin", Package(b"abc", sha256=hashlib.sha256(b"abc").digest(), check_code=1))
    >>> b"fw/v2.bin" in catalog, len(catalog)
    (True, 1)
    >>> catalog.withdraw(b"fw/v2.bin")
    True
    """

    def __cinit__(self, Ledger ledger not None):
        self.ledger = ledger
        if posix_memalign(<void**>&self.state, CACHE_LINE, sizeof(CatalogState)) != 0:
            raise MemoryError
        memset(self.state, 0, sizeof(CatalogState))
        self.state.epoch = 1
        self.state.seed = secrets.randbits(64)
        self.state.table = <uint64_t>table_new(SLOTS_MIN)
        if self.state.table == EMPTY:
            raise MemoryError

    def __dealloc__(self):
        # A listener holds a reference to its catalog, so here nobody reads any more.
        cdef Table* table
        cdef uint64_t at
        if self.state == NULL:
            return
        table = <Table*><void*>self.state.table
        if table != NULL:
            for at in range(table.mask + 1):
                if table.slots[at].entry > TOMBSTONE:
                    entry_free(<Entry*><void*>table.slots[at].entry)
            free(table)
        while self.oldest != NULL:
            self._free_oldest()
        free(self.state)

    def publish(self, bytes path, Package package not None, *, bint replace=False):
        """Serve `package` under `path` (joined by '/', no leading one) to everyone.

        Publishing again what is published changes nothing. Raises PathError for a path nobody could
        ask, PathTakenError when it serves something else and `replace` is not set.
        """
        cdef const Entry* entry = catalog_find(self.state, path, <uint32_t>len(path))
        if entry != NULL and entry.record == NULL and package.same_as(<Package>entry.owner):
            return
        self.insert(path, package, -1, replace)

    def grant(self, bytes path, Package package not None):
        """Serve `package` under `path` and count it in a ledger record, whose index is returned.

        Granting the same bytes again returns the record they have. Raises GrantLimitError when the
        ledger is full, and what `publish` raises.
        """
        cdef const Entry* entry = catalog_find(self.state, path, <uint32_t>len(path))
        cdef uint32_t index
        if entry != NULL and entry.record != NULL and package.same_as(<Package>entry.owner):
            return entry.record_index
        self.reclaim()
        index = self.ledger.allocate()
        try:
            self.insert(path, package, index, False)
        except BaseException:
            self.ledger.give_back(index)
            raise
        return index

    def withdraw(self, bytes path):
        """Stop serving `path`; False when it was not served. Replies under way are not disturbed."""
        return self._unlink(catalog_find(self.state, path, <uint32_t>len(path)))

    def grant_segments(self, bytes token, SegmentGrant grant not None):
        """Let whoever asks under `token`, of 8 bytes, have the segments of `grant`.

        Several tokens may lead to one grant. A token that led to another grant leads to this one from now on.
        """
        cdef const Entry* old = self._token_entry(token)
        if old != NULL and <object>old.owner is grant:
            return
        self.reclaim()
        self.link(token, TOKENS, grant, old)

    def withdraw_segments(self, bytes token):
        """Let `token` lead nowhere; False when it did not lead to a grant."""
        return self._unlink(self._token_entry(token))

    def find_segments(self, bytes token):
        """The grant that `token` leads to, or None."""
        cdef const Entry* entry = self._token_entry(token)
        return None if entry == NULL else <object>entry.owner

    def reclaim(self):
        """Free what was withdrawn or replaced and no reader can hold; returns how much still waits."""
        cdef uint64_t safe = load_acquire(&self.state.epoch)
        cdef uint64_t epoch
        cdef int i
        fence_sequential()
        for i in range(CATALOG_READERS_MAX):
            epoch = load_acquire(&self.state.readers[i].epoch)
            if epoch != 0 and epoch < safe:
                safe = epoch
        while self.oldest != NULL and self.oldest.epoch <= safe:
            self._free_oldest()
        return self.waiting

    def find(self, bytes path):
        """(package, ledger record index or None) served under `path`, or None."""
        cdef const Entry* entry = catalog_find(self.state, path, <uint32_t>len(path))
        if entry == NULL:
            return None
        return <object>entry.owner, None if entry.record == NULL else entry.record_index

    def __contains__(self, bytes path):
        return catalog_find(self.state, path, <uint32_t>len(path)) != NULL

    def __len__(self):
        return self.live

    def _py_enter(self):
        """Enter as a reader; returns what `_py_leave` wants back. Test door."""
        cdef Reader* reader = self.take_reader()
        catalog_enter(self.state, reader)
        return reader - self.state.readers

    def _py_leave(self, unsigned int place):
        """Test door."""
        if place >= CATALOG_READERS_MAX or not self.state.readers[place].taken:
            raise IndexError("no reader entered there")
        self.give_reader(&self.state.readers[place])

    def _py_probes(self, bytes path):
        """Slots that a reader looks at to find a published path. Test door."""
        cdef Table* table = <Table*><void*>self.state.table
        cdef const Entry* entry = catalog_find(self.state, path, <uint32_t>len(path))
        if entry == NULL:
            raise KeyError(path)
        return (((self._slot_of(entry) - table.slots) - entry.hash) & table.mask) + 1

    cdef int insert(self, bytes path, Package package, int64_t record_index, bint replace) except -1:
        cdef const Entry* old
        if not 0 < len(path) <= PATH_LENGTH_MAX:
            raise PathError(f"a path has 1..{PATH_LENGTH_MAX} bytes, not {len(path)}: {path!r}")
        if path[0] == 0x2F:
            raise PathError(f"a path begins without '/': {path!r}")
        self.reclaim()
        old = catalog_find(self.state, path, <uint32_t>len(path))
        if old != NULL and not replace:
            raise PathTakenError(f"{path!r} serves {<object>old.owner!r}; withdraw it or ask to replace it")
        self.link(path, PATHS, package, old, record_index)
        return 0

    # Make an entry of `owner`, and put it in the place of `old`, or of a slot of its own.
    cdef int link(
        self, bytes path, Space space, object owner, const Entry* old, int64_t record_index=-1
    ) except -1:
        cdef uint32_t length = <uint32_t>len(path)
        cdef Entry* entry
        cdef Slot* slot
        if old == NULL and (self.filled + 1) * 2 > <Py_ssize_t>(<Table*><void*>self.state.table).mask + 1:
            self.grow()
        entry = <Entry*>malloc(sizeof(Entry) - PATH_LENGTH_MAX - 1 + length)
        if entry == NULL:
            raise MemoryError
        entry.hash = path_hash(self.state.seed, path, length, space)
        entry.body = &(<Package>owner).body if space == PATHS else NULL
        entry.segments = &(<SegmentGrant>owner).state if space == TOKENS else NULL
        entry.record = NULL if record_index < 0 else &self.ledger.records[record_index]
        entry.record_index = 0 if record_index < 0 else <uint32_t>record_index
        entry.owner = <PyObject*>owner
        entry.path_length = <uint16_t>(length + space)
        memcpy(entry.path, <const uint8_t*>path, length)
        Py_INCREF(owner)
        if old != NULL:
            slot = self._slot_of(old)
            store_release(&slot.entry, <uint64_t>entry)
            self._retire_entry(<Entry*>old)
            return 0
        slot = empty_slot(<Table*><void*>self.state.table, entry.hash)
        slot.hash = entry.hash
        store_release(&slot.entry, <uint64_t>entry)
        self.live += 1
        self.filled += 1
        return 0

    cdef bint _unlink(self, const Entry* entry) except -1:
        if entry == NULL:
            return False
        store_release(&self._slot_of(entry).entry, TOMBSTONE)
        self.live -= 1
        self._retire_entry(<Entry*>entry)
        return True

    cdef const Entry* _token_entry(self, bytes token) except? NULL:
        if len(token) != SEGMENT_TOKEN_LENGTH:
            raise ValueError(f"a token that grants has {SEGMENT_TOKEN_LENGTH} bytes, not {len(token)}")
        return entry_find(self.state, token, SEGMENT_TOKEN_LENGTH, TOKENS)

    cdef Slot* _slot_of(self, const Entry* entry) noexcept:
        cdef Table* table = <Table*><void*>self.state.table
        cdef uint64_t at = entry.hash & table.mask
        while table.slots[at].entry != <uint64_t>entry:
            at = (at + 1) & table.mask
        return &table.slots[at]

    # Move the live entries into a table at most a quarter full, and retire the old one.
    cdef int grow(self) except -1:
        cdef Table* old = <Table*><void*>self.state.table
        cdef uint64_t slots = SLOTS_MIN
        cdef Table* table
        cdef Slot* slot
        cdef uint64_t at
        while slots < <uint64_t>(self.live + 1) * 4:
            slots *= 2
        table = table_new(slots)
        if table == NULL:
            raise MemoryError
        for at in range(old.mask + 1):
            if old.slots[at].entry > TOMBSTONE:
                slot = empty_slot(table, old.slots[at].hash)
                slot.hash = old.slots[at].hash
                slot.entry = old.slots[at].entry
        store_release(&self.state.table, <uint64_t>table)
        self.filled = self.live
        self.retire(old, NULL, -1)
        return 0

    cdef int _retire_entry(self, Entry* entry) except -1:
        return self.retire(entry, entry.owner, -1 if entry.record == NULL else entry.record_index)

    cdef int retire(self, void* memory, PyObject* owner, int64_t record_index) except -1:
        cdef Retired* retired = <Retired*>malloc(sizeof(Retired))
        if retired == NULL:
            raise MemoryError
        store_release(&self.state.epoch, load_relaxed(&self.state.epoch) + 1)
        retired.epoch = load_relaxed(&self.state.epoch)
        retired.memory = memory
        retired.owner = owner
        retired.record_index = record_index
        retired.next = NULL
        if self.newest == NULL:
            self.oldest = retired
        else:
            self.newest.next = retired
        self.newest = retired
        self.waiting += 1
        return 0

    cdef void _free_oldest(self) noexcept:
        cdef Retired* retired = self.oldest
        self.oldest = retired.next
        self.waiting -= 1
        if self.oldest == NULL:
            self.newest = NULL
        if retired.record_index >= 0:
            self.ledger.give_back(<uint32_t>retired.record_index)
        if retired.owner != NULL:
            Py_DECREF(<object>retired.owner)
        free(retired.memory)
        free(retired)

    # A place for one more reader, to be given back when it will not read again.
    cdef Reader* take_reader(self) except NULL:
        cdef int i
        for i in range(CATALOG_READERS_MAX):
            if not self.state.readers[i].taken:
                self.state.readers[i].taken = True
                return &self.state.readers[i]
        raise RuntimeError(f"a catalog has at most {CATALOG_READERS_MAX} listeners")

    cdef void give_reader(self, Reader* reader) noexcept:
        store_release(&reader.epoch, 0)
        reader.taken = False


cdef void entry_free(Entry* entry) noexcept:
    Py_DECREF(<object>entry.owner)
    free(entry)

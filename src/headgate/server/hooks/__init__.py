"""Web hooks: what was committed to the outbox is sent to its receivers, at least once, in order per device.

hooks        all of them: made, removed, replayed, pruned
teller       one hook: rows of the outbox in, attempts out
outgoing     what is due, and what waits for what; sans-IO
receiver     one attempt: an HTTP request to an address that was looked at
addresses    which URLs and addresses are permitted
signature    by which a receiver knows that it was us
"""

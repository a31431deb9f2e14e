# Only compiled modules use the ring.

# Only compiled modules use what is here.

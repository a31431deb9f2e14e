"""The whole system under a virtual clock, from one seed: devices, a bad network, and a server that dies."""

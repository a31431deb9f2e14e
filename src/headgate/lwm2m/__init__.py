"""LwM2M as a server speaks it: endpoints, registrations, objects and resources.

registration   what a device said of itself, and where it is
commands       what is asked of a device
happenings     what comes from it
"""

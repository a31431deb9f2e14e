# The listener as Python holds it: the state of `drain.pxd`, whose invariants it keeps, and its Responder.
from headgate.engine.responder cimport Responder, ResponderPolicy
from headgate.transport.drain cimport ListenerState

cdef class Listener:
    cdef ListenerState* state         # owned
    cdef readonly Responder responder
    cdef const ResponderPolicy* policy

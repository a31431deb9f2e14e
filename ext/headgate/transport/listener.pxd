from headgate.engine.responder cimport Responder, ResponderPolicy
from headgate.transport.drain cimport ListenerState

cdef class Listener:
    cdef ListenerState* state         # owned
    cdef readonly Responder responder
    cdef const ResponderPolicy* policy

# The Linux calls that move datagrams in batches. socket(7), recvmmsg(2), sendmmsg(2), epoll(7).
#
# Declarations only: the fleet is the other side of the wire and shares no code with the server.
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from posix.time cimport timespec

cdef enum:
    BATCH = 64                        # most datagrams moved by one system call
    DATAGRAM_MAX = 2048               # bytes kept of a received datagram; CoAP advises 1152

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    int MSG_DONTWAIT
    int MSG_WAITFORONE
    int SHUT_RDWR

    struct iovec:
        void* iov_base
        size_t iov_len

    struct sockaddr_storage:
        pass

    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags

    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len          # bytes received or sent, set by the kernel

    # Both return the messages moved, or -1 with errno when the first could not be.
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t length, int flags)
    int shutdown(int fd, int how)

cdef extern from "<poll.h>" nogil:
    short POLLIN
    short POLLOUT

    struct pollfd:
        int fd
        short events
        short revents

    int poll(pollfd* fds, unsigned long count, int timeout_ms)
    int ppoll(pollfd* fds, unsigned long count, const timespec* timeout, const void* signals)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    uint32_t EPOLLIN

    union epoll_data:
        uint32_t u32

    struct epoll_event:
        uint32_t events
        epoll_data data

    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms)

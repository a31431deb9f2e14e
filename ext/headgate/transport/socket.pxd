# The kernel's datagram calls and the structures they take: Linux, socket(7), ip(7), ipv6(7), recvmmsg(2).
from libc.stdint cimport uint8_t, uint32_t

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <netinet/in.h>
    #include <poll.h>
    #include <string.h>
    #include <sys/socket.h>

    #define CONTROL_SIZE 64   /* holds the largest message below, 40 bytes, and keeps to a cache line */

    /* The address a datagram was sent to, as the packet information that makes a reply leave from there.
       Copies the one message of `from` that says so into `to`, in the form that sendmsg takes, and returns
       its length; 0 when there is none, -1 when the datagram was sent to a group or was broadcast. (An IPv4
       broadcast to an IPv6 socket is not told apart: the kernel then refuses to send from that address.) */
    static inline int packet_info_turn(struct msghdr *from, unsigned char *to)
    {
        struct cmsghdr *c;
        for (c = CMSG_FIRSTHDR(from); c; c = CMSG_NXTHDR(from, c)) {
            struct cmsghdr *reply = (struct cmsghdr *)to;
            if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(reply);
                memset(to, 0, CMSG_SPACE(sizeof *info));
                *reply = *c;
                memcpy(info, CMSG_DATA(c), sizeof *info);
                if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr)
                    || (IN6_IS_ADDR_V4MAPPED(&info->ipi6_addr)
                        && (info->ipi6_addr.s6_addr[12] & 0xF0) == 0xE0))
                    return -1;
                /* Only a link-local address needs its interface; elsewhere routing chooses. */
                if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
                    info->ipi6_ifindex = 0;
                return CMSG_SPACE(sizeof *info);
            }
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(reply);
                memset(to, 0, CMSG_SPACE(sizeof *info));
                *reply = *c;
                memcpy(info, CMSG_DATA(c), sizeof *info);
                /* A broadcast: the address that a reply would leave from, if it is known, is another. */
                if (IN_MULTICAST(ntohl(info->ipi_addr.s_addr))
                    || (info->ipi_spec_dst.s_addr != 0
                        && info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr))
                    return -1;
                info->ipi_ifindex = 0;
                return CMSG_SPACE(sizeof *info);
            }
        }
        return 0;
    }
    """
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    cdef struct msghdr:
        void* msg_name
        uint32_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    cdef struct sockaddr_storage:
        pass
    cdef struct pollfd:
        int fd
        short events
        short revents
    enum: CONTROL_SIZE
    enum: MSG_DONTWAIT
    enum: MSG_NOSIGNAL
    enum: MSG_TRUNC
    enum: MSG_WAITFORONE
    enum: POLLOUT
    enum: SHUT_RD
    int EAGAIN, EBADF, EINTR, ENOTSOCK
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout) noexcept nogil
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags) noexcept nogil
    ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept nogil
    int shutdown(int fd, int how) noexcept nogil
    int poll(pollfd* fds, unsigned long count, int timeout_ms) noexcept nogil
    int packet_info_turn(msghdr* source, uint8_t* out) noexcept nogil

/* A client of the hosted machine, played by hand: it connects to the socket and takes the hello. */
#ifndef TESTS_UNIT_VISITOR_H
#define TESTS_UNIT_VISITOR_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "piglet/window.h"

enum { NOBODY = -1000 }; /* an error that no hello has */

enum { WINDOW, BELL, RING, WAKE }; /* places in descriptor[] */

struct visitor {
    int connection;
    struct piglet_hello hello;
    int descriptor[PIGLET_HELLO_DESCRIPTORS];
};

static inline int knock(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* The hello's error, or NOBODY: no hello yet. */
static inline int hear(struct visitor *visitor, int connection)
{
    union {
        struct cmsghdr header;
        char room[256];
    } control;
    struct iovec piece = {&visitor->hello, sizeof(visitor->hello)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    visitor->connection = connection;
    for (unsigned i = 0; i < PIGLET_HELLO_DESCRIPTORS; i++)
        visitor->descriptor[i] = -1;
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) < 0) {
        assert_int_equal(errno, EAGAIN);
        return NOBODY;
    }
    assert_int_equal(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    assert_true(visitor->hello.magic == PIGLET_MAGIC);
    assert_int_equal(visitor->hello.abi_major, PIGLET_ABI_MAJOR);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    assert_int_equal(header != NULL, visitor->hello.error == 0);
    if (header) {
        assert_int_equal(header->cmsg_len, CMSG_LEN(sizeof(visitor->descriptor)));
        memcpy(visitor->descriptor, CMSG_DATA(header), sizeof(visitor->descriptor));
    }
    return visitor->hello.error;
}

static inline void leave(struct visitor *visitor)
{
    close(visitor->connection);
    for (unsigned i = 0; i < PIGLET_HELLO_DESCRIPTORS; i++)
        if (visitor->descriptor[i] >= 0)
            close(visitor->descriptor[i]);
}

#endif

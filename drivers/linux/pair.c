/* pair:PATH, two unix datagram sockets as a wire: one datagram is one frame. Needs no privilege.
 *
 * `pair:PATH` is bound to PATH and sends to PATH.peer; `pair:LOCAL,REMOTE` names both. QEMU's
 * `-netdev dgram,local.type=unix,…` is such an end. The sockets are not connected, so that either
 * end may come, go and come again: a connected one would refuse its peer's successor. */
#define _GNU_SOURCE /* recvmmsg */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "linux.h"

struct pair {
    struct linux_nic linux_nic;
    struct linux_sender sender;
    struct sockaddr_un local, remote;
    bool alone_said;
    struct mmsghdr message[BATCH_MAX];
    struct iovec piece[BATCH_MAX];
};

static bool pair_match(const struct arch_device *device)
{
    return linux_name(device, "pair") != NULL;
}

static bool pair_paths(struct pair *pair, const char *name)
{
    size_t length = strcspn(name, ",");
    if (name[length] == ',')
        return linux_address(&pair->local, name, length, "") &&
               linux_address(&pair->remote, name + length + 1, strlen(name + length + 1), "");
    return linux_address(&pair->local, name, length, "") &&
           linux_address(&pair->remote, name, length, ".peer");
}

static int pair_open(struct nic *nic, const struct pair *pair)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&pair->local, sizeof(pair->local)) == 0)
        return fd;
    int error_number = errno;
    const char *cure = "";
    if (error_number == EADDRINUSE)
        cure = "; another process has it, or it is no socket: give another path";
    if (error_number == ENOENT)
        cure = "; make its folder first";
    nic_log(nic, LOG_ERROR, "%s: %s%s", pair->local.sun_path, strerror(error_number), cure);
    if (fd >= 0)
        close(fd);
    return linux_error(error_number);
}

static void pair_aim(struct pair *pair, unsigned slot)
{
    pair->piece[slot] = (struct iovec){pair->linux_nic.slot[slot]->data, FRAME_ROOM};
}

static int pair_probe(struct nic *nic, const struct arch_device *device)
{
    const char *name = linux_name(device, "pair");
    struct pair *pair = linux_state(nic, sizeof(*pair), name);
    if (!pair)
        return ERR_NO_MEMORY;
    if (!pair_paths(pair, name)) {
        nic_log(nic, LOG_ERROR, "give pair:PATH or pair:LOCAL,REMOTE, each path below %zu bytes",
                sizeof(pair->local.sun_path) - sizeof(".peer"));
        return ERR_INVALID;
    }
    linux_remove_stale(&pair->local, SOCK_DGRAM);
    int fd = pair_open(nic, pair);
    if (fd < 0)
        return fd;
    int error = linux_sender_start(&pair->sender, fd, &pair->remote, sizeof(pair->remote));
    if (error == 0)
        error = linux_start(nic, fd, BATCH_MAX);
    if (error < 0) {
        close(fd);
        unlink(pair->local.sun_path);
        return error;
    }
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        pair->message[i].msg_hdr = (struct msghdr){.msg_iov = &pair->piece[i], .msg_iovlen = 1};
        pair_aim(pair, i);
    }
    pair->sender.unsent =
        nic_counter(nic, "tx_no_peer", "frames sent with nobody at the other end");
    linux_mac(pair->local.sun_path, nic->mac);
    nic->link_up = true;
    return 0;
}

static unsigned pair_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct pair *pair = nic->driver_state;
    unsigned count = 0;
    int got = recvmmsg(pair->linux_nic.fd, pair->message, max < BATCH_MAX ? max : BATCH_MAX,
                       MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        struct frame *frame = linux_slot_take(nic, (unsigned)i, pair->message[i].msg_len);
        if (!frame)
            continue;
        frames[count++] = frame;
        pair_aim(pair, (unsigned)i);
    }
    return count;
}

static unsigned pair_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct pair *pair = nic->driver_state;
    return linux_send(nic, &pair->sender, frames, count);
}

/* The link is always up, like a cable whose far end nobody looks at; but a mistyped path should not
 * look like silence. */
static void pair_attend(struct nic *nic)
{
    struct pair *pair = nic->driver_state;
    if (pair->sender.refused && !pair->alone_said)
        nic_log(nic, LOG_WARNING, "nobody takes frames at %s; they are dropped until somebody does",
                pair->remote.sun_path);
    pair->alone_said = pair->sender.refused;
}

static void pair_stop(struct nic *nic)
{
    struct pair *pair = nic->driver_state;
    unlink(pair->local.sun_path);
    linux_stop(nic);
}

const struct nic_driver linux_pair_driver = {
    .name = "pair",
    .match = pair_match,
    .probe = pair_probe,
    .receive = pair_receive,
    .transmit = pair_transmit,
    .attend = pair_attend,
    .interrupts = linux_interrupts,
    .filter = linux_filter,
    .stop = pair_stop,
};

/* xdp:IFNAME[,copy|,zerocopy][,busy][,queues=N], a Linux interface taken over by AF_XDP.
 *
 * The frame pool itself is the memory that Linux shares with us (its UMEM, in unaligned chunks), so
 * a frame is never copied by us, and one that came in by one nic leaves by another as it is. An XDP
 * program, libxdp's, hands us all that the interface receives; Linux' own stack sees none of it.
 *
 * Without zero copy in the interface's driver, Linux copies frames into and out of the pool ("copy").
 * With ",busy" an empty look makes Linux poll the device instead of waiting for its interrupts:
 * for a Piglet on a core of its own. One socket a queue; frames are sent by the first.
 *
 * Where AF_XDP cannot be had, the nic is brought up as packet:IFNAME, and the log says so. Linux:
 * Documentation/networking/af_xdp.rst. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#include "common.h"
#include "linux.h"
#include "members.h"

enum {
    RING = 512,     /* of each kind; a power of two. 0.3 ms of the shortest frames at 1 Gb/s */
    FILL_MAX = 256, /* frames a queue waits with: as many as an Intel ring's */
    QUEUES_MAX = 8,
    CHUNK_BYTES = 2048, /* what Linux may use of a frame; its XDP headroom of 256 is inside */
    BUSY_POLL_US = 20,
    BUSY_BUDGET = BATCH_MAX,
    BIND_TRIES = 50, /* Linux lets go of a queue some time after its last user did */
    BIND_WAIT_MS = 10,
    SEND_TRIES = 8, /* a system call sends some 32 frames of the copying kind */
};
#ifndef SO_PREFER_BUSY_POLL /* Linux 5.11; not in Debian 12's <sys/socket.h> */
enum { SO_PREFER_BUSY_POLL = 69, SO_BUSY_POLL_BUDGET = 70 };
#endif

struct xdp_queue {
    struct xsk_socket *socket;
    int fd;
    struct xsk_ring_prod fill, send;
    struct xsk_ring_cons full, sent;
    uint64_t missed; /* what Linux has counted up to now */
};

struct xdp {
    struct linux_nic linux_nic;
    struct xsk_umem *umem;
    struct linux_members members;
    char interface[IF_NAMESIZE];
    int index, members_fd;
    unsigned queues, turn; /* which queue is looked at first */
    uint16_t bind_flags;   /* XDP_COPY, XDP_ZEROCOPY or neither */
    bool busy;
    struct xdp_queue queue[QUEUES_MAX];
};

static bool xdp_match(const struct arch_device *device)
{
    return linux_name(device, "xdp") != NULL;
}

/* ---- frames and addresses -------------------------------------------------------------------- */

/* A chunk begins behind the metadata, and its address is where that is in the pool. The offset of
 * what matters in it is in the address's upper bits, so that Linux gives both back. */
static uint64_t xdp_chunk(const struct nic *nic, const struct frame *frame)
{
    return (uint64_t)((const uint8_t *)frame + FRAME_METADATA - nic->pool->memory);
}

static struct frame *xdp_frame(const struct nic *nic, uint64_t address)
{
    return (struct frame *)(nic->pool->memory + xsk_umem__extract_addr(address) - FRAME_METADATA);
}

/* Frames that Linux has carry this in `next`, and no others do: other nics' rings in the same pool
 * hold frames too, and those are not ours to give back. */
static struct frame *xdp_tag(const struct nic *nic)
{
    return nic->driver_state;
}

/* Puts a frame where Linux may receive into it; there is room. */
static void xdp_fill_one(struct nic *nic, struct xdp_queue *queue, uint32_t at, struct frame *frame)
{
    frame->owner = FRAME_OF_RECEIVE_RING;
    frame->next = xdp_tag(nic);
    *xsk_ring_prod__fill_addr(&queue->fill, at) = xdp_chunk(nic, frame);
}

/* ---- bringing up ------------------------------------------------------------------------------ */

static int xdp_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level, (void)format, (void)arguments;
    return 0;
}

static int xdp_quiet_xdp(enum libxdp_print_level level, const char *format, va_list arguments)
{
    (void)level, (void)format, (void)arguments;
    return 0;
}

static bool xdp_option(struct xdp *xdp, const char *option)
{
    char *end;
    if (strcmp(option, "copy") == 0)
        xdp->bind_flags = XDP_COPY;
    else if (strcmp(option, "zerocopy") == 0)
        xdp->bind_flags = XDP_ZEROCOPY;
    else if (strcmp(option, "busy") == 0)
        xdp->busy = true;
    else if (strncmp(option, "queues=", strlen("queues=")) == 0) {
        unsigned long queues = strtoul(option + strlen("queues="), &end, 10);
        if (*end || queues < 1 || queues > QUEUES_MAX)
            return false;
        xdp->queues = (unsigned)queues;
    } else
        return false;
    return true;
}

/* "IFNAME,OPTION,..." */
static int xdp_options(struct nic *nic, struct xdp *xdp, const char *text)
{
    char option[16];
    size_t length = strcspn(text, ",");
    if (length >= sizeof(xdp->interface)) {
        nic_log(nic, LOG_ERROR, "no interface %s; `ip link` lists those there are", text);
        return ERR_NOT_FOUND;
    }
    memcpy(xdp->interface, text, length);
    xdp->queues = 1;
    for (text += length; *text; text += length) {
        text++;
        length = strcspn(text, ",");
        snprintf(option, sizeof(option), "%.*s", (int)length, text);
        if (length >= sizeof(option) || !xdp_option(xdp, option)) {
            nic_log(nic, LOG_ERROR,
                    "option \"%s\": give copy, zerocopy, busy or queues=1 to %d, as in "
                    "xdp:eth1,busy",
                    option, QUEUES_MAX);
            return ERR_INVALID;
        }
    }
    return 0;
}

static int xdp_umem_start(struct nic *nic, struct xdp *xdp)
{
    const struct xsk_umem_config config = {.fill_size = RING,
                                           .comp_size = RING,
                                           .frame_size = CHUNK_BYTES,
                                           .flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG};
    struct xdp_queue *first = &xdp->queue[0];
    return xsk_umem__create(&xdp->umem, nic->pool->memory,
                            (uint64_t)nic->pool->total * FRAME_STRIDE, &first->fill, &first->sent,
                            &config);
}

static int xdp_bind_once(struct xdp *xdp, unsigned number, uint32_t xdp_flags)
{
    struct xdp_queue *queue = &xdp->queue[number];
    const struct xsk_socket_config config = {.rx_size = RING,
                                             .tx_size = RING,
                                             .xdp_flags = xdp_flags,
                                             .bind_flags = xdp->bind_flags | XDP_USE_NEED_WAKEUP};
    int error =
        xsk_socket__create_shared(&queue->socket, xdp->interface, number, xdp->umem, &queue->full,
                                  &queue->send, &queue->fill, &queue->sent, &config);
    queue->fd = error ? -1 : xsk_socket__fd(queue->socket);
    return error;
}

/* In the interface's own driver where it can, else in Linux' generic path. */
static int xdp_bind(struct xdp *xdp, unsigned number)
{
    static const uint32_t mode[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
    const struct timespec wait = {.tv_nsec = BIND_WAIT_MS * 1000000l};
    int error = -EBUSY;
    for (unsigned i = 0; i < sizeof(mode) / sizeof(mode[0]) && error != 0; i++) {
        error = xdp_bind_once(xdp, number, mode[i]);
        for (unsigned tries = 1; error == -EBUSY && tries < BIND_TRIES; tries++) {
            nanosleep(&wait, NULL);
            error = xdp_bind_once(xdp, number, mode[i]);
        }
    }
    return error;
}

static void xdp_busy_start(int fd)
{
    static const int yes = 1, us = BUSY_POLL_US, budget = BUSY_BUDGET;
    (void)setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &yes, sizeof(yes));
    (void)setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
    (void)setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget));
}

/* A quarter of the pool at most, so that several nics can start. */
static int xdp_fill_start(struct nic *nic, struct xdp *xdp, struct xdp_queue *queue)
{
    uint32_t at;
    unsigned share = nic->pool->total / 4 / xdp->queues;
    unsigned count = share < FILL_MAX ? share : FILL_MAX;
    if (xsk_ring_prod__reserve(&queue->fill, count, &at) != count)
        return -ENOSPC;
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = frame_alloc(nic->pool);
        if (!frame)
            return -ENOMEM;
        xdp_fill_one(nic, queue, at + i, frame);
    }
    xsk_ring_prod__submit(&queue->fill, count);
    return 0;
}

static int xdp_open(struct nic *nic, struct xdp *xdp)
{
    int error = xdp_umem_start(nic, xdp);
    for (unsigned i = 0; i < xdp->queues && !error; i++) {
        struct xdp_queue *queue = &xdp->queue[i];
        error = xdp_bind(xdp, i);
        if (!error)
            error = xdp_fill_start(nic, xdp, queue);
        if (!error && xdp->busy)
            xdp_busy_start(queue->fd);
    }
    return error;
}

/* Linux is done with all frames when the sockets are closed; those it had are known by their tag. */
static void xdp_close(struct nic *nic, struct xdp *xdp)
{
    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        if (xdp->queue[i].socket)
            xsk_socket__delete(xdp->queue[i].socket);
        xdp->queue[i].socket = NULL;
    }
    if (xdp->umem)
        xsk_umem__delete(xdp->umem);
    xdp->umem = NULL;
    if (xdp->members_fd >= 0)
        close(xdp->members_fd);
    xdp->members_fd = -1;
    xdp->linux_nic.fd = -1;
    for (unsigned i = 0; i < nic->pool->total; i++) {
        struct frame *frame = (struct frame *)(nic->pool->memory + (size_t)i * FRAME_STRIDE);
        if (frame->next == xdp_tag(nic)) {
            frame->next = NULL;
            frame_free(nic->pool, frame);
        }
    }
}

static int xdp_start(struct nic *nic, struct xdp *xdp)
{
    struct xdp_options options = {0};
    socklen_t bytes = sizeof(options);
    bool watched = true;
    for (unsigned i = 0; i < xdp->queues; i++)
        watched &= arch_idle_watch(xdp->queue[i].fd) == 0;
    xdp->linux_nic.fd = xdp->queue[0].fd;
    xdp->linux_nic.oversized = nic_counter(nic, "rx_oversized", "frames longer than 1514 bytes");
    xdp->members_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    nic->interrupts_work = watched;
    linux_describe(nic, xdp->interface);
    bool zero_copy = getsockopt(xdp->linux_nic.fd, SOL_XDP, XDP_OPTIONS, &options, &bytes) == 0 &&
                     (options.flags & XDP_OPTIONS_ZEROCOPY);
    nic_log(nic, LOG_INFO, "AF_XDP on %s, %u queue%s, %s%s", xdp->interface, xdp->queues,
            xdp->queues == 1 ? "" : "s", zero_copy ? "zero copy" : "copying",
            xdp->busy ? ", busy polling" : "");
    return 0;
}

static int xdp_probe(struct nic *nic, const struct arch_device *device)
{
    struct xdp *xdp = linux_state(nic, sizeof(*xdp), linux_name(device, "xdp"));
    if (!xdp)
        return ERR_NO_MEMORY;
    xdp->members_fd = -1;
    int error = xdp_options(nic, xdp, linux_name(device, "xdp"));
    if (error < 0)
        return error;
    xdp->linux_nic.name = xdp->interface;
    xdp->index = linux_identify(nic, xdp->interface);
    if (xdp->index < 0)
        return xdp->index;
    libbpf_set_print(xdp_quiet);
    libxdp_set_print(xdp_quiet_xdp);
    error = xdp_open(nic, xdp);
    if (error == 0)
        return xdp_start(nic, xdp);
    xdp_close(nic, xdp);
    nic_log(nic, LOG_WARNING, "no AF_XDP on %s (%s%s): goes on as packet:%s", xdp->interface,
            strerror(-error), error == -EPERM ? ", needs root" : "", xdp->interface);
    nic->driver = &linux_packet_driver;
    return linux_packet_start(nic, xdp->interface);
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* The frames of `count` descriptors; fresh ones take their places with Linux. */
static unsigned xdp_take(struct nic *nic, struct xdp_queue *queue, uint32_t from, uint32_t to,
                         unsigned count, struct frame **frames)
{
    struct xdp *xdp = nic->driver_state;
    unsigned taken = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct xdp_desc *full = xsk_ring_cons__rx_desc(&queue->full, from + i);
        struct frame *frame = xdp_frame(nic, full->addr), *fresh = NULL;
        if (full->len > FRAME_LENGTH_MAX)
            ++*xdp->linux_nic.oversized;
        else
            fresh = frame_alloc(nic->pool);
        if (!fresh) { /* it stays with Linux */
            xdp_fill_one(nic, queue, to + i, frame);
            continue;
        }
        xdp_fill_one(nic, queue, to + i, fresh);
        frame->data = nic->pool->memory + xsk_umem__add_offset_to_addr(full->addr);
        __builtin_prefetch(frame->data);
        frame->length = (uint16_t)full->len;
        frame->next = NULL;
        frame->owner = FRAME_OF_LOOP;
        frame->nic = nic->index;
        frame->flags = 0;
        frames[taken++] = frame;
    }
    return taken;
}

static unsigned xdp_receive_queue(struct nic *nic, struct xdp_queue *queue, struct frame **frames,
                                  unsigned max)
{
    struct xdp *xdp = nic->driver_state;
    uint32_t from = 0, to = 0;
    unsigned count = xsk_ring_cons__peek(&queue->full, max, &from), taken = 0;
    if (count > 0 && xsk_ring_prod__reserve(&queue->fill, count, &to) == count) {
        taken = xdp_take(nic, queue, from, to, count, frames);
        xsk_ring_prod__submit(&queue->fill, count);
        xsk_ring_cons__release(&queue->full, count);
    }
    if (count == 0 ? xdp->busy : xsk_ring_prod__needs_wakeup(&queue->fill))
        (void)recvfrom(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return taken;
}

static unsigned xdp_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct xdp *xdp = nic->driver_state;
    unsigned taken = 0;
    if (xdp->linux_nic.fd < 0)
        return 0;
    for (unsigned i = 0; i < xdp->queues && taken < max; i++) {
        unsigned number = xdp->turn + i;
        number -= number >= xdp->queues ? xdp->queues : 0;
        taken += xdp_receive_queue(nic, &xdp->queue[number], frames + taken, max - taken);
    }
    xdp->turn = xdp->turn + 1 >= xdp->queues ? 0 : xdp->turn + 1;
    return taken;
}

/* ---- sending ---------------------------------------------------------------------------------- */

static void xdp_reclaim(struct nic *nic, struct xdp_queue *queue)
{
    uint32_t at;
    unsigned count = xsk_ring_cons__peek(&queue->sent, RING, &at);
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = xdp_frame(nic, *xsk_ring_cons__comp_addr(&queue->sent, at + i));
        frame->next = NULL;
        frame_free(nic->pool, frame);
    }
    if (count)
        xsk_ring_cons__release(&queue->sent, count);
}

/* Asks Linux to send what is in the ring. The copying kind sends some of it in each call, and says
 * EAGAIN while there is more. */
static void xdp_kick(struct xdp_queue *queue)
{
    for (unsigned tries = 0; tries < SEND_TRIES && xsk_ring_prod__needs_wakeup(&queue->send);
         tries++)
        if (sendto(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || errno != EAGAIN)
            break;
}

static unsigned xdp_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct xdp *xdp = nic->driver_state;
    struct xdp_queue *queue = &xdp->queue[0];
    uint32_t at;
    if (xdp->linux_nic.fd < 0)
        return 0;
    xdp_reclaim(nic, queue);
    unsigned room = xsk_prod_nb_free(&queue->send, count);
    if (room < count)
        count = room;
    if (count == 0 || xsk_ring_prod__reserve(&queue->send, count, &at) != count) {
        xdp_kick(queue);
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = frames[i];
        uint64_t chunk = xdp_chunk(nic, frame);
        uint64_t offset = (uint64_t)(frame->data - (nic->pool->memory + chunk));
        size_t length = linux_pad(frame);
        frame->owner = FRAME_OF_TRANSMIT_RING;
        frame->next = xdp_tag(nic);
        *nic->count.tx_bytes += frame->length;
        *xsk_ring_prod__tx_desc(&queue->send, at + i) = (struct xdp_desc){
            .addr = chunk | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT, .len = (uint32_t)length};
    }
    xsk_ring_prod__submit(&queue->send, count);
    xdp_kick(queue);
    xdp_reclaim(nic, queue);
    return count;
}

/* ---- the rest --------------------------------------------------------------------------------- */

static int xdp_filter(struct nic *nic, const struct nic_filter *filter)
{
    struct xdp *xdp = nic->driver_state;
    if (xdp->members_fd < 0)
        return ERR_DENIED;
    return linux_members_set(&xdp->members, xdp->members_fd, xdp->index, filter);
}

static void xdp_count_missed(struct nic *nic, struct xdp_queue *queue)
{
    struct xdp_statistics statistics = {0};
    socklen_t bytes = sizeof(statistics);
    if (getsockopt(queue->fd, SOL_XDP, XDP_STATISTICS, &statistics, &bytes) != 0)
        return;
    uint64_t missed =
        statistics.rx_dropped + statistics.rx_ring_full + statistics.rx_fill_ring_empty_descs;
    *nic->count.rx_missed += missed - queue->missed;
    queue->missed = missed;
}

static void xdp_attend(struct nic *nic)
{
    struct xdp *xdp = nic->driver_state;
    if (xdp->linux_nic.fd < 0)
        return;
    xdp_reclaim(nic, &xdp->queue[0]);
    xdp_kick(&xdp->queue[0]);
    for (unsigned i = 0; i < xdp->queues; i++)
        xdp_count_missed(nic, &xdp->queue[i]);
    char name[IF_NAMESIZE];
    if (if_indextoname((unsigned)xdp->index, name) && linux_follow_link(nic, name))
        return;
    nic_log(nic, LOG_ERROR, "Linux interface %s is gone; start again to use a new one",
            xdp->interface);
    nic_link(nic, false, 0);
    xdp_close(nic, xdp);
}

static void xdp_stop(struct nic *nic)
{
    xdp_close(nic, nic->driver_state);
}

const struct nic_driver linux_xdp_driver = {
    .name = "xdp",
    .match = xdp_match,
    .probe = xdp_probe,
    .receive = xdp_receive,
    .transmit = xdp_transmit,
    .attend = xdp_attend,
    .interrupts = linux_interrupts,
    .filter = xdp_filter,
    .stop = xdp_stop,
};

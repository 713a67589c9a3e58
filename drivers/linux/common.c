/* What the Linux nics share. */
#define _GNU_SOURCE /* sendmmsg */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

const char *linux_name(const struct arch_device *device, const char *kind)
{
    size_t length = strlen(kind);
    if (device->bus != ARCH_BUS_HOST || strncmp(device->host, kind, length) != 0 ||
        device->host[length] != ':')
        return NULL;
    return device->host + length + 1;
}

/* FNV-1a over the name gives four bytes; the first two mark the address as locally administered
 * and, for people, as ours ('P'). */
void linux_mac(const char *name, uint8_t mac[6])
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    mac[0] = 0x02;
    mac[1] = 'P';
    for (unsigned i = 0; i < 4; i++)
        mac[2 + i] = (uint8_t)(hash >> (24 - 8 * i));
}

int linux_error(int error_number)
{
    switch (error_number) {
    case EPERM:
    case EACCES:
        return ERR_DENIED;
    case ENOENT:
    case ENODEV:
        return ERR_NOT_FOUND;
    case EBUSY:
    case EADDRINUSE:
        return ERR_BUSY;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return ERR_FULL;
    case EINVAL:
    case ENAMETOOLONG:
        return ERR_INVALID;
    default:
        return ERR_DEVICE;
    }
}

void *linux_state(struct nic *nic, size_t bytes, const char *name)
{
    struct linux_nic *self = arch_memory_take(bytes, 64 /* a cache line */);
    if (!self) {
        nic_log(nic, LOG_ERROR, "no memory for %s", name);
        return NULL;
    }
    self->fd = -1;
    self->name = name;
    nic->driver_state = self;
    return self;
}

static void linux_slots_free(struct nic *nic, struct linux_nic *self)
{
    while (self->slots > 0)
        frame_free(nic->pool, self->slot[--self->slots]);
}

int linux_start(struct nic *nic, int fd, unsigned slots)
{
    struct linux_nic *self = nic->driver_state;
    for (; self->slots < slots; self->slots++) {
        struct frame *frame = frame_alloc(nic->pool);
        if (!frame) {
            nic_log(nic, LOG_ERROR, "no frames to receive into");
            linux_slots_free(nic, self);
            return ERR_NO_MEMORY;
        }
        frame->owner = FRAME_OF_RECEIVE_RING;
        self->slot[self->slots] = frame;
    }
    self->oversized = nic_counter(nic, "rx_oversized", "frames longer than 1514 bytes");
    self->fd = fd;
    nic->interrupts_work = arch_idle_watch(fd) == 0;
    return 0;
}

void linux_stop(struct nic *nic)
{
    struct linux_nic *self = nic->driver_state;
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    linux_slots_free(nic, self);
}

void linux_interrupts(struct nic *nic, bool on)
{
    (void)nic;
    (void)on;
}

int linux_filter(struct nic *nic, const struct nic_filter *filter)
{
    (void)nic;
    (void)filter;
    return 0;
}

struct frame *linux_slot_take(struct nic *nic, unsigned slot, size_t length)
{
    struct linux_nic *self = nic->driver_state;
    if (length > FRAME_LENGTH_MAX) {
        ++*self->oversized;
        return NULL;
    }
    struct frame *fresh = frame_alloc(nic->pool);
    if (!fresh)
        return NULL; /* which frame_alloc counts */
    fresh->owner = FRAME_OF_RECEIVE_RING;
    struct frame *full = self->slot[slot];
    self->slot[slot] = fresh;
    full->owner = FRAME_OF_LOOP;
    full->length = (uint16_t)length;
    full->nic = nic->index;
    full->flags = 0;
    return full;
}

size_t linux_pad(struct frame *frame)
{
    if (frame->length >= FRAME_LENGTH_MIN)
        return frame->length;
    memset(frame->data + frame->length, 0, FRAME_LENGTH_MIN - frame->length);
    return FRAME_LENGTH_MIN;
}

/* ---- addresses ------------------------------------------------------------------------------ */

bool linux_address(struct sockaddr_un *address, const char *path, size_t length, const char *suffix)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (length == 0 || length + strlen(suffix) >= sizeof(address->sun_path))
        return false;
    memcpy(address->sun_path, path, length);
    memcpy(address->sun_path + length, suffix, strlen(suffix));
    return true;
}

/* A socket whose process is gone refuses connections; one that has many waiting says EAGAIN. */
void linux_remove_stale(const struct sockaddr_un *address, int type)
{
    struct stat status;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (lstat(address->sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
        connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

/* ---- sending a batch ---------------------------------------------------------------------- */

int linux_sender_start(struct linux_sender *sender, int fd, void *to, socklen_t to_bytes)
{
    sender->fd = fd;
    sender->message = arch_memory_take(BATCH_MAX * sizeof(struct mmsghdr), 64);
    sender->piece = arch_memory_take(BATCH_MAX * sizeof(struct iovec), 64);
    if (!sender->message || !sender->piece)
        return ERR_NO_MEMORY;
    for (unsigned i = 0; i < BATCH_MAX; i++)
        sender->message[i].msg_hdr = (struct msghdr){
            .msg_name = to, .msg_namelen = to_bytes, .msg_iov = &sender->piece[i], .msg_iovlen = 1};
    return 0;
}

/* How many frames at the front are done with after sendmmsg gave an error; 0: no room now. The
 * errors that lie in one frame cost that frame, all others would hit the next one too. */
static unsigned linux_refused(int error_number, unsigned count)
{
    switch (error_number) {
    case EAGAIN:
    case ENOBUFS:
        return 0;
    case EMSGSIZE:
    case EINVAL:
        return 1;
    default:
        return count;
    }
}

unsigned linux_send(struct nic *nic, struct linux_sender *sender, struct frame **frames,
                    unsigned count)
{
    unsigned done = 0;
    for (unsigned i = 0; i < count; i++)
        sender->piece[i] = (struct iovec){frames[i]->data, linux_pad(frames[i])};
    while (done < count) {
        int sent =
            sendmmsg(sender->fd, sender->message + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        unsigned gone = (unsigned)sent;
        if (sent <= 0) {
            gone = linux_refused(errno, count - done);
            *sender->unsent += gone;
        }
        sender->refused = sent <= 0 && gone > 0;
        if (gone == 0)
            break;
        for (; gone > 0; gone--) {
            *nic->count.tx_bytes += frames[done]->length;
            frame_free(nic->pool, frames[done++]);
        }
    }
    return done;
}

/* ---- what Linux says about an interface ----------------------------------------------------- */

/* Any socket will do to ask; it is opened for the question, ten times a second at most. */
static bool linux_ask(unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && ioctl(fd, what, request) == 0;
    if (fd >= 0)
        close(fd);
    return answered;
}

static struct ifreq linux_request(const char *interface)
{
    struct ifreq request;
    memset(&request, 0, sizeof(request));
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    return request;
}

static uint32_t linux_speed_mbps(const char *interface)
{
    struct ethtool_cmd settings = {.cmd = ETHTOOL_GSET};
    struct ifreq request = linux_request(interface);
    request.ifr_data = (char *)&settings;
    if (!linux_ask(SIOCETHTOOL, &request) || ethtool_cmd_speed(&settings) == UINT32_MAX)
        return 0;
    return ethtool_cmd_speed(&settings);
}

static bool linux_carrier(const char *interface)
{
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    struct ifreq request = linux_request(interface);
    request.ifr_data = (char *)&link;
    return linux_ask(SIOCETHTOOL, &request) && link.data;
}

/* IFF_RUNNING comes up to a second after the carrier (linkwatch), but asking for the carrier waits
 * for whoever is configuring any interface; so it is asked only while the flag is not there. */
static bool linux_link(const char *interface, bool *up)
{
    struct ifreq request = linux_request(interface);
    if (!linux_ask(SIOCGIFFLAGS, &request))
        return false;
    *up = (request.ifr_flags & IFF_UP) &&
          ((request.ifr_flags & IFF_RUNNING) || linux_carrier(interface));
    return true;
}

bool linux_follow_link(struct nic *nic, const char *interface)
{
    bool up;
    if (!linux_link(interface, &up))
        return false;
    if (up != nic->link_up)
        nic_link(nic, up, up ? linux_speed_mbps(interface) : 0);
    return true;
}

int linux_identify(struct nic *nic, const char *interface)
{
    struct ifreq request = linux_request(interface);
    int index = (int)if_nametoindex(interface);
    if (index == 0 || !linux_ask(SIOCGIFHWADDR, &request)) {
        nic_log(nic, LOG_ERROR, "no interface %s; `ip link` lists those there are", interface);
        return ERR_NOT_FOUND;
    }
    if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
        nic_log(nic, LOG_ERROR, "%s is not an Ethernet interface; give another", interface);
        return ERR_UNSUPPORTED;
    }
    memcpy(nic->mac, request.ifr_hwaddr.sa_data, sizeof(nic->mac));
    return index;
}

void linux_describe(struct nic *nic, const char *interface)
{
    struct ifreq request = linux_request(interface);
    nic->speed_mbps = linux_speed_mbps(interface);
    nic->link_up = false;
    linux_link(interface, &nic->link_up);
    if (!nic->link_up)
        nic_log(nic, LOG_WARNING, "%s is down in Linux; ip link set %s up", interface, interface);
    if (linux_ask(SIOCGIFMTU, &request) && request.ifr_mtu < nic->mtu)
        nic->mtu = (uint16_t)request.ifr_mtu;
}

void linux_lost(struct nic *nic)
{
    struct linux_nic *self = nic->driver_state;
    if (self->fd < 0)
        return;
    nic_log(nic, LOG_ERROR, "Linux interface %s is gone; start again to use a new one", self->name);
    nic_link(nic, false, 0);
    close(self->fd);
    self->fd = -1;
}

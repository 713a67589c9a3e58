/* tap:NAME, a Linux tap interface: the host's network stack is on the other end of our wire.
 *
 * No virtio-net header is asked for: then Linux completes the checksums and cuts segments before we
 * see a frame (Documentation/networking/tuntap.rst). One system call moves one frame. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "linux.h"

static bool tap_match(const struct arch_device *device)
{
    return linux_name(device, "tap") != NULL;
}

static int tap_refused(struct nic *nic, const char *name, int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENODEV:
        nic_log(nic, LOG_ERROR, "no /dev/net/tun; sudo modprobe tun");
        break;
    case EPERM:
    case EACCES:
        nic_log(nic, LOG_ERROR,
                "tap %s needs root; or make it first: sudo ip tuntap add %s mode tap user $USER",
                name, name);
        break;
    case EBUSY:
        nic_log(nic, LOG_ERROR, "tap %s is in use by another process; give another name", name);
        break;
    case EINVAL:
        nic_log(nic, LOG_ERROR,
                "%s is no single-queue tap; give another name, or: ip link delete %s", name, name);
        break;
    case ENAMETOOLONG:
        nic_log(nic, LOG_ERROR, "%s is longer than the %d bytes of an interface's name", name,
                IFNAMSIZ - 1);
        break;
    default:
        nic_log(nic, LOG_ERROR, "tap %s: %s", name, strerror(error_number));
    }
    return linux_error(error_number);
}

/* Attaches to the tap, or makes it. A descriptor, or a negative errno. */
static int tap_open(const char *name, struct ifreq *request)
{
    if (strlen(name) >= sizeof(request->ifr_name))
        return -ENAMETOOLONG;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    memset(request, 0, sizeof(*request));
    memcpy(request->ifr_name, name, strlen(name));
    request->ifr_flags = IFF_TAP | IFF_NO_PI;
    /* Offloads stay set on a tap that outlives the process that asked for them. */
    if (ioctl(fd, TUNSETIFF, request) != 0 || ioctl(fd, TUNSETOFFLOAD, 0) != 0) {
        int error_number = errno;
        close(fd);
        return -error_number;
    }
    return fd;
}

static int tap_probe(struct nic *nic, const struct arch_device *device)
{
    struct ifreq request;
    const char *name = linux_name(device, "tap");
    if (!linux_state(nic, sizeof(struct linux_nic), name))
        return ERR_NO_MEMORY;
    int fd = tap_open(name, &request);
    if (fd < 0)
        return tap_refused(nic, name, -fd);
    linux_mac(name, nic->mac);
    /* The tap's own address is the host's end of the wire; ours must be another. */
    if (ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
        memcmp(request.ifr_hwaddr.sa_data, nic->mac, sizeof(nic->mac)) == 0)
        nic->mac[5] ^= 1;
    int error = linux_start(nic, fd, 1);
    if (error < 0) {
        close(fd);
        return error;
    }
    linux_describe(nic, name);
    return 0;
}

static unsigned tap_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct linux_nic *self = nic->driver_state;
    unsigned count = 0;
    for (unsigned i = 0; i < max; i++) {
        ssize_t length = read(self->fd, self->slot[0]->data, FRAME_ROOM);
        if (length < 0)
            break; /* EAGAIN: nothing there; what else it may be, attend finds */
        struct frame *frame = linux_slot_take(nic, 0, (size_t)length);
        if (frame)
            frames[count++] = frame;
    }
    return count;
}

static unsigned tap_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct linux_nic *self = nic->driver_state;
    for (unsigned i = 0; i < count; i++) {
        if (write(self->fd, frames[i]->data, linux_pad(frames[i])) < 0) {
            if (errno == EAGAIN)
                return i;
            ++*nic->count.tx_errors;
        }
        *nic->count.tx_bytes += frames[i]->length;
        frame_free(nic->pool, frames[i]);
    }
    return count;
}

/* The tap may have been renamed, so the descriptor is asked for its name; moved to another network
 * namespace, which keeps it alive and out of sight, so that its link cannot be followed; or
 * deleted. */
static void tap_attend(struct nic *nic)
{
    struct linux_nic *self = nic->driver_state;
    struct ifreq request;
    memset(&request, 0, sizeof(request));
    if (self->fd < 0)
        return;
    if (ioctl(self->fd, TUNGETIFF, &request) != 0)
        linux_lost(nic);
    else if (!linux_follow_link(nic, request.ifr_name) && !nic->link_up)
        nic_link(nic, true, 0);
}

const struct nic_driver linux_tap_driver = {
    .name = "tap",
    .match = tap_match,
    .probe = tap_probe,
    .receive = tap_receive,
    .transmit = tap_transmit,
    .attend = tap_attend,
    .interrupts = linux_interrupts,
    .filter = linux_filter,
    .stop = linux_stop,
};

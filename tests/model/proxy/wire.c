/* Where the frames of a model come from and go to. */
#define _GNU_SOURCE
#include "tests/model/proxy/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool wire_failed(char why[160], const char *what, const char *name, const char *reason)
{
    snprintf(why, 160, "%s %.60s: %.60s", what, name, reason);
    return false;
}

static bool open_tap(struct wire *wire, const char *name, char why[160])
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(name) >= sizeof request.ifr_name)
        return wire_failed(why, "tap", name, "the name is too long");
    memcpy(request.ifr_name, name, strlen(name));
    wire->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (wire->fd < 0)
        return wire_failed(why, "/dev/net/tun for", name, strerror(errno));
    if (ioctl(wire->fd, TUNSETIFF, &request) < 0)
        return wire_failed(why, "tap", name, strerror(errno));
    return true;
}

static bool set_path(struct sockaddr_un *address, const char *path, size_t length)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length == 0 || length >= sizeof address->sun_path)
        return false;
    memcpy(address->sun_path, path, length);
    return true;
}

static bool open_dgram(struct wire *wire, const char *paths, char why[160])
{
    const char *comma = strchr(paths, ',');
    struct sockaddr_un local;
    if (!comma || !set_path(&local, paths, (size_t)(comma - paths)) ||
        !set_path(&wire->remote, comma + 1, strlen(comma + 1)))
        return wire_failed(why, "dgram", paths, "give LOCAL,REMOTE, both shorter than 108");
    struct stat there;
    if (stat(local.sun_path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(local.sun_path); /* of a run that was killed */
    wire->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0 || bind(wire->fd, (const struct sockaddr *)&local, sizeof local) < 0)
        return wire_failed(why, "dgram", paths, strerror(errno));
    memcpy(wire->local, local.sun_path, sizeof wire->local);
    wire->packets = true;
    return true;
}

static bool open_fd(struct wire *wire, const char *number, char why[160])
{
    char *end;
    long fd = strtol(number, &end, 10);
    if (*end || end == number || fd < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
        return wire_failed(why, "fd", number, "no open descriptor");
    wire->fd = (int)fd;
    fcntl(wire->fd, F_SETFL, fcntl(wire->fd, F_GETFL) | O_NONBLOCK);
    fcntl(wire->fd, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool open_pcap(struct wire *wire, const char *names, char why[160])
{
    char error[PCAP_ERRBUF_SIZE], in[256];
    const char *comma = strchr(names, ','), *out = comma ? comma + 1 : "";
    size_t length = comma ? (size_t)(comma - names) : strlen(names);
    if (length >= sizeof in)
        return wire_failed(why, "pcap", names, "the name is too long");
    memcpy(in, names, length);
    in[length] = 0;
    if (length && !(wire->in = pcap_open_offline(in, error)))
        return wire_failed(why, "pcap", in, error);
    if (!*out)
        return true;
    wire->out_handle = pcap_open_dead(DLT_EN10MB, WIRE_FRAME);
    wire->out = pcap_dump_open(wire->out_handle, out);
    return wire->out || wire_failed(why, "pcap", out, pcap_geterr(wire->out_handle));
}

bool wire_open(struct wire *wire, const char *spec, char why[160])
{
    static const struct {
        const char *prefix;
        bool (*open)(struct wire *, const char *, char[160]);
    } kind[] = {{"tap:", open_tap}, {"dgram:", open_dgram}, {"fd:", open_fd}, {"pcap:", open_pcap}};
    memset(wire, 0, sizeof *wire);
    wire->fd = -1;
    if (strcmp(spec, "none") == 0)
        return true;
    for (unsigned i = 0; i < sizeof kind / sizeof kind[0]; i++)
        if (strncmp(spec, kind[i].prefix, strlen(kind[i].prefix)) == 0)
            return kind[i].open(wire, spec + strlen(kind[i].prefix), why);
    return wire_failed(why, "wire", spec,
                       "give dgram:LOCAL,REMOTE, tap:NAME, fd:N, pcap:IN,OUT or none");
}

static size_t receive_file(struct wire *wire, uint64_t now_ns, uint8_t frame[WIRE_FRAME])
{
    if (!wire->ahead && pcap_next_ex(wire->in, &wire->about, &wire->ahead) != 1) {
        pcap_close(wire->in);
        wire->in = NULL;
        wire->ahead = NULL;
        return 0;
    }
    uint64_t us = (uint64_t)wire->about->ts.tv_sec * 1000000 + (uint64_t)wire->about->ts.tv_usec;
    if (!wire->began_ns) {
        wire->began_ns = now_ns;
        wire->first_us = us;
    }
    if (us > wire->first_us && (now_ns - wire->began_ns) / 1000 < us - wire->first_us)
        return 0;
    size_t length = wire->about->caplen <= WIRE_FRAME ? wire->about->caplen : WIRE_FRAME;
    memcpy(frame, wire->ahead, length);
    wire->ahead = NULL;
    return length;
}

size_t wire_receive(struct wire *wire, uint64_t now_ns, uint8_t frame[WIRE_FRAME])
{
    if (wire->in)
        return receive_file(wire, now_ns, frame);
    if (wire->fd < 0)
        return 0;
    ssize_t got = read(wire->fd, frame, WIRE_FRAME);
    return got > 0 ? (size_t)got : 0;
}

/* False: the far end takes none now. One that is not there loses it. */
static bool wire_write(struct wire *wire, const uint8_t *frame, size_t length)
{
    ssize_t sent = wire->packets
                       ? sendto(wire->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                                (const struct sockaddr *)&wire->remote, sizeof wire->remote)
                       : write(wire->fd, frame, length);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return false;
    wire->lost += sent < 0;
    return true;
}

void wire_flush(struct wire *wire)
{
    while (wire->queued) {
        struct wire_frame *frame = &wire->queue[wire->first];
        if (!wire_write(wire, frame->data, frame->length))
            return;
        free(frame->data);
        wire->first = (wire->first + 1) % WIRE_QUEUE;
        wire->queued--;
    }
}

void wire_send(struct wire *wire, const uint8_t *frame, size_t length)
{
    if (wire->out) {
        struct pcap_pkthdr about = {.caplen = (uint32_t)length, .len = (uint32_t)length};
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        about.ts.tv_sec = now.tv_sec;
        about.ts.tv_usec = now.tv_nsec / 1000;
        pcap_dump((u_char *)wire->out, &about, frame);
        pcap_dump_flush(wire->out);
    }
    if (wire->fd < 0 || (!wire->queued && wire_write(wire, frame, length)))
        return;
    uint8_t *copy = wire->queued < WIRE_QUEUE ? malloc(length) : NULL;
    if (!copy) {
        wire->lost++;
        return;
    }
    memcpy(copy, frame, length);
    wire->queue[(wire->first + wire->queued++) % WIRE_QUEUE] =
        (struct wire_frame){(uint16_t)length, copy};
}

bool wire_is_file(const struct wire *wire)
{
    return wire->in != NULL;
}

void wire_close(struct wire *wire)
{
    wire_flush(wire);
    if (wire->out)
        pcap_dump_close(wire->out);
    if (wire->out_handle)
        pcap_close(wire->out_handle);
    if (wire->in)
        pcap_close(wire->in);
    if (wire->fd >= 0)
        close(wire->fd);
    if (wire->local[0])
        unlink(wire->local);
}

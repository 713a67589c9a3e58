/* Where the frames of a model come from and go to: a tap, datagram sockets, files of frames. */
#ifndef TESTS_MODEL_PROXY_WIRE_H
#define TESTS_MODEL_PROXY_WIRE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WIRE_FRAME = 16 << 10, WIRE_QUEUE = 1024 };

struct wire {
    int fd;       /* a frame a read and a write; -1: none */
    bool packets; /* a socket, whose far end may not be there */
    struct sockaddr_un remote;
    char local[sizeof((struct sockaddr_un *)0)->sun_path]; /* to be removed */
    pcap_t *in, *out_handle;
    const uint8_t *ahead; /* the next frame of the file, and its header */
    struct pcap_pkthdr *about;
    uint64_t began_ns, first_us; /* when the first frame came, by the clock and by the file */
    pcap_dumper_t *out;
    struct wire_frame { /* that could not be written yet, oldest first */
        uint16_t length;
        uint8_t *data;
    } queue[WIRE_QUEUE];
    unsigned first, queued;
    uint64_t lost;
};

/* Opens "dgram:LOCAL,REMOTE", "tap:NAME", "fd:N", "pcap:IN,OUT" (either may be empty) or "none".
 * False: `why`. */
bool wire_open(struct wire *wire, const char *spec, char why[160]);

/* The next frame that came, without waiting; 0: none. Those of a file come at its own pace, from
 * the first call on. */
size_t wire_receive(struct wire *wire, uint64_t now_ns, uint8_t frame[WIRE_FRAME]);

/* Sends a frame, or keeps it until the far end takes it; when WIRE_QUEUE wait it is lost. */
void wire_send(struct wire *wire, const uint8_t *frame, size_t length);

/* The far end may take frames again. */
void wire_flush(struct wire *wire);

/* Whether wire_receive may have frames that poll does not tell of. */
bool wire_is_file(const struct wire *wire);

void wire_close(struct wire *wire);

#endif

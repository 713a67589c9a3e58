/* Framesets for tests: the client's end of the rings, frame by frame. */
#ifndef TESTS_PSR_FRAMES_H
#define TESTS_PSR_FRAMES_H

#include "tests/psr/client.h"

enum { ANY_PORT = 0 };

#define US      IP(10, 0, 0, 2)
#define PEER    IP(10, 0, 0, 1)
#define OTHER   IP(10, 0, 0, 9)
#define NOBODYS IP(10, 9, 9, 9)

struct test_frames {
    struct test_client *client;
    uint64_t capability, transmit, receive; /* results of the requests that made them */
    struct piglet_ring *tx, *rx;
};

/* Makes a frameset with rings of so many pages. */
void frames_make(struct test_frames *frames, struct test_client *client, unsigned pages);

/* Peer and start; bind, join and leave give the request's error. */
void frames_peer(struct test_frames *frames, uint32_t address, unsigned port, unsigned protocol);
int frames_bind(struct test_frames *frames, unsigned port);
int frames_join(struct test_frames *frames, unsigned nic, const uint8_t mac[6]);
int frames_start(struct test_frames *frames);
int frames_leave(struct test_frames *frames);

/* The three usual kinds, started: UDP from `port`, of a protocol, and a station (mac NULL: a capture). */
void frames_udp(struct test_frames *frames, struct test_client *client, unsigned port);
void frames_protocol(struct test_frames *frames, struct test_client *client, uint32_t address,
                     unsigned protocol);
void frames_joined(struct test_frames *frames, struct test_client *client, const uint8_t mac[6]);

/* Fills the next slot; `said` is copied, with its length. frames_publish shows the kernel so many. */
void frames_put(struct test_frames *frames, unsigned ahead, const void *data,
                const struct piglet_frame *said);
void frames_publish(struct test_frames *frames, unsigned count);

/* Puts one, publishes, rings and turns the loop. */
void frames_send(struct test_frames *frames, const void *data, size_t length, uint32_t address,
                 unsigned port);

/* Whether the frame was refused: sends it, and looks that the kernel's count rose and nothing left. */
bool frames_refused(struct test_frames *frames, const void *data, size_t length, uint32_t address,
                    unsigned port);

/* The oldest frame received and not taken, with its bytes behind it; NULL: none. Stays the client's
 * until frames_done, which gives it back. */
const struct piglet_frame *frames_peek(const struct test_frames *frames);
void frames_done(struct test_frames *frames);

/* Fails the test unless exactly these bytes are the next received, and takes them; what is said about
 * them comes back. */
struct piglet_frame frames_expect(struct test_frames *frames, const void *data, size_t length);

/* The next frame that is no ARP on the nic's wire. */
const struct sim_wire_frame *frames_wire(struct core *core, unsigned nic);

/* Fails the test unless that is this packet, whatever its identification and time to live. */
void frames_wire_expect(struct core *core, unsigned nic, struct packet packet);

/* One frame from the wire, and the loop's turns. */
void frames_inject(struct core *core, unsigned nic, const struct packet *packet);

/* Lets Piglet know PEER's MAC address, and forgets all that was sent. */
void frames_know_peer(struct core *core);

#endif

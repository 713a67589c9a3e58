/* Prints what a frame costs natively on its way through the kernel, from a nic that makes it to a nic that
 * swallows it, on the simulated machine: nanoseconds, as lines "key value unit".
 *
 *   path one|new|full|tcp|held MODULE   with that boot module (bench/setups.py); "-": none
 *
 *   one   frames of one flow, forwarded
 *   new   each the first of a new UDP flow, while the firewall's table has room
 *   full  the same, when each new one makes another give way
 *   tcp   handshakes, three frames each; the value is of a handshake
 *   held  frames of one flow, so fast that each has to wait in the shaper
 *
 * The best of some rounds: what else runs on the computer only adds. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/nic.h"
#include "kernel/loop.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

enum {
    BATCH = 64,
    ROUNDS = 15,
    TURNS = 56, /* of a round: 3,584 frames, of new flows less than may be half-open */
    FULL_TURNS = 80,
    TURN_NS = 20000, /* by which the simulated clock moves on in each turn */
    HELD_MIN = 128,
    HOST = IP(10, 0, 0, 1),
    SERVER = IP(10, 1, 0, 1),
    MODULE_MAX = 8 << 20,
};

static const char words[] = "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward log=error";

/* What a nic receives in the next turn. */
static struct source {
    struct packet frame;
    unsigned count;
    bool counts_up; /* each frame has another port: of its sender, or of whom it goes to */
    bool answers;
} source[2];

static uint16_t next_port;
static unsigned swallowed;

/* ---- the nics ---- */

static bool null_match(const struct arch_device *device)
{
    return device->bus == ARCH_BUS_HOST && strncmp(device->host, "wire:", 5) == 0;
}

static int null_probe(struct nic *nic, const struct arch_device *device)
{
    (void)device;
    nic->mac[0] = 2;
    nic->mac[5] = (uint8_t)(nic->index + 1);
    nic->speed_mbps = 1000;
    nic->link_up = nic->interrupts_work = true;
    return 0;
}

static unsigned null_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct source *from = &source[nic->index];
    unsigned count = from->count < max ? from->count : max;
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = frame_alloc(nic->pool);
        if (!frame)
            abort(); /* frames are held that should not be */
        struct udp_header *ports =
            (struct udp_header *)(from->frame.data + ETH_HEADER_LENGTH + IPV4_HEADER_MIN);
        if (from->counts_up && from->answers)
            ports->to = be16(next_port++);
        else if (from->counts_up)
            ports->from = be16(next_port++);
        memcpy(frame->data, from->frame.data, from->frame.length);
        frame->length = (uint16_t)from->frame.length;
        frame->nic = nic->index;
        frame->flags = 0;
        frames[i] = frame;
    }
    from->count -= count;
    return count;
}

static unsigned null_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        *nic->count.tx_bytes += frames[i]->length;
        frame_free(nic->pool, frames[i]);
    }
    swallowed += count;
    return count;
}

static void null_nothing(struct nic *nic)
{
    (void)nic;
}

static void null_interrupts(struct nic *nic, bool on)
{
    (void)nic, (void)on;
}

static int null_filter(struct nic *nic, const struct nic_filter *filter)
{
    (void)nic, (void)filter;
    return 0;
}

static const struct nic_driver null_driver = {
    .name = "null",
    .match = null_match,
    .probe = null_probe,
    .receive = null_receive,
    .transmit = null_transmit,
    .attend = null_nothing,
    .interrupts = null_interrupts,
    .filter = null_filter,
    .stop = null_nothing,
};

const struct nic_driver *const nic_drivers[] = {&null_driver, NULL};
const struct window_driver *const window_drivers[] = {NULL};

/* ---- turns ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One turn that finds `count` of these frames; the time it took. */
static uint64_t turn(struct core *core, unsigned nic, unsigned count, uint64_t later_ns)
{
    sim_now_ns += later_ns;
    source[nic].count = count;
    uint64_t from = now_ns();
    loop_turn(core);
    return now_ns() - from;
}

static void send_one(struct core *core, unsigned nic, struct packet frame)
{
    source[nic] = (struct source){.frame = frame};
    turn(core, nic, 1, TURN_NS);
}

static struct core *start(const void *module, size_t bytes)
{
    struct core *core = bytes ? sim_start_module(2, words, module, bytes) : sim_start(2, words);
    if (!core || strstr(sim_console(), "ERROR")) {
        fprintf(stderr, "path: %s\n", sim_console());
        exit(1);
    }
    sim_now_ns = 5000000000ull; /* addresses are probed by then */
    sim_run(core);
    source[0].frame = packet_udp_to(HOST, 4000, SERVER, 7, 18);
    memcpy(packet_eth(&source[0].frame)->to, core->nic[0].mac, 6);
    for (unsigned nic = 0; nic < 2; nic++) {
        struct packet reply =
            packet_arp_request(nic ? SERVER : HOST, nic ? IP(10, 1, 0, 2) : IP(10, 0, 0, 2));
        send_one(core, nic, reply);
    }
    return core;
}

static void expect(unsigned frames, const struct core *core)
{
    if (swallowed == frames)
        return;
    fprintf(stderr, "path: %u of %u frames came out\n", swallowed, frames);
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++)
        if (core->drop[i])
            fprintf(stderr, "  drop reason %u: %llu\n", i, (unsigned long long)core->drop[i]);
    exit(1);
}

static void forward_frames(struct core *core, bool counts_up)
{
    struct packet frame = packet_udp_to(HOST, 4000, SERVER, 7, 18);
    memcpy(packet_eth(&frame)->to, core->nic[0].mac, 6);
    packet_udp(&frame)->checksum = be16(0); /* none: ports differ */
    source[0] = (struct source){.frame = frame, .counts_up = counts_up};
    next_port = 1024;
}

/* ---- what is measured ---- */

static double flows(struct core *core, bool counts_up, unsigned warm, unsigned turns)
{
    uint64_t took = 0;
    forward_frames(core, counts_up);
    for (unsigned i = 0; i < warm; i++)
        turn(core, 0, BATCH, TURN_NS);
    swallowed = 0;
    for (unsigned i = 0; i < turns; i++)
        took += turn(core, 0, BATCH, TURN_NS);
    expect(turns * BATCH, core);
    return (double)took / (turns * BATCH);
}

static double handshakes(struct core *core)
{
    struct packet frame[3] = {packet_tcp_to(HOST, 0, SERVER, 7, TCP_SYN),
                              packet_tcp_to(SERVER, 7, HOST, 0, TCP_SYN | TCP_ACK),
                              packet_tcp_to(HOST, 0, SERVER, 7, TCP_ACK)};
    uint64_t took = 0;
    for (unsigned i = 0; i < 3; i++) {
        memcpy(packet_eth(&frame[i])->to, core->nic[i % 2].mac, 6);
        packet_tcp(&frame[i])->window = be16(65535);
    }
    uint32_t first = be32_get(packet_tcp(&frame[0])->sequence);
    uint32_t answer = be32_get(packet_tcp(&frame[1])->sequence);
    packet_tcp(&frame[1])->acknowledgement = be32(first + 1);
    packet_tcp(&frame[2])->sequence = be32(first + 1);
    packet_tcp(&frame[2])->acknowledgement = be32(answer + 1);
    for (unsigned i = 0; i < 3; i++)
        packet_fix_tcp(&frame[i]);
    swallowed = 0;
    for (unsigned i = 0; i < TURNS; i++)
        for (unsigned j = 0; j < 3; j++) {
            next_port = (uint16_t)(1024 + i * BATCH);
            source[j % 2] =
                (struct source){.frame = frame[j], .counts_up = true, .answers = j == 1};
            took += turn(core, j % 2, BATCH, TURN_NS);
        }
    expect(3 * TURNS * BATCH, core);
    return (double)took / (TURNS * BATCH);
}

/* Time moves on just fast enough for as many frames to be released as come. */
static double held(struct core *core)
{
    uint64_t took = 0;
    forward_frames(core, false);
    while (sim_counter(core, "shaper.held") < HELD_MIN)
        turn(core, 0, BATCH, 0);
    uint64_t passed = sim_counter(core, "shaper.passed");
    swallowed = 0;
    unsigned in = 0;
    for (unsigned i = 0; i < 4 * TURNS; i++, in += BATCH)
        took += turn(core, 0, BATCH, sim_counter(core, "shaper.held") > HELD_MIN ? 450000 : 250000);
    if (sim_counter(core, "shaper.passed") != passed || swallowed < in / 2 || sim_drops(core)) {
        fprintf(stderr, "path: %u of %u frames released, %u held, %u passed, %u dropped\n",
                swallowed, in, (unsigned)sim_counter(core, "shaper.held"),
                (unsigned)(sim_counter(core, "shaper.passed") - passed), (unsigned)sim_drops(core));
        exit(1);
    }
    return (double)took / in;
}

static double round_of(const char *mode, struct core *core)
{
    if (strcmp(mode, "one") == 0)
        return flows(core, false, 4, TURNS);
    if (strcmp(mode, "new") == 0)
        return flows(core, true, 0, TURNS);
    if (strcmp(mode, "full") == 0)
        return flows(core, true, FULL_TURNS, TURNS);
    if (strcmp(mode, "tcp") == 0)
        return handshakes(core);
    if (strcmp(mode, "held") == 0)
        return held(core);
    fprintf(stderr, "usage: path one|new|full|tcp|held MODULE\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static uint8_t module[MODULE_MAX];
    size_t bytes = 0;
    double best = 1e9;
    if (argc == 3 && strcmp(argv[2], "-") != 0) {
        FILE *file = fopen(argv[2], "rb");
        if (!file) {
            perror(argv[2]);
            return 2;
        }
        bytes = fread(module, 1, sizeof module, file);
        fclose(file);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct core *core = start(module, bytes);
        double ns = round_of(argc == 3 ? argv[1] : "", core);
        if (ns < best)
            best = ns;
        sim_stop(core);
    }
    printf("path_%s %.1f ns\n", argv[1], best);
    return 0;
}

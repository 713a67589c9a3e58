/* What arp's tests share: two nics, frames in, and what comes of them. */
#ifndef TESTS_SERVICE_ARP_H
#define TESTS_SERVICE_ARP_H

#include "tests/unit/test.h"

#define US     IP(10, 0, 0, 2)
#define PEER   IP(10, 0, 0, 1)
#define US1    IP(10, 1, 0, 2)
#define PEER1  IP(10, 1, 0, 9)
#define SECOND 1000000ull

static inline void inject(struct core *core, unsigned nic, const struct packet *packet)
{
    assert_true(sim_inject(core, nic, packet->data, packet->length));
    sim_run(core);
}

/* How many ARP requests for an address were sent, and throws everything sent away. */
static inline unsigned requests_for(struct core *core, unsigned nic, uint32_t target,
                                    uint32_t sender)
{
    unsigned count = 0;
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic))) {
        const struct arp_packet *arp = (const struct arp_packet *)(frame->data + 14);
        count += frame->data[12] == 8 && frame->data[13] == 6 &&
                 be16_is(arp->operation, ARP_REQUEST) && be32_get(arp->target_ip) == target &&
                 be32_get(arp->sender_ip) == sender;
    }
    return count;
}

static inline void clear(struct core *core)
{
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
}

static inline struct core *start(const char *more)
{
    char line[256];
    snprintf(line, sizeof line, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward %s", more);
    struct core *core = sim_start(2, line);
    sim_run(core);
    clear(core);
    return core;
}

#endif

/* What the firewall's files share. */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include "kernel/service.h"
#include "services/firewall/classifier.h"
#include "services/firewall/state.h"

enum {
    FIREWALL_DIRECTIONS = 3,
    FIREWALL_SWEEP_US = 1000000, /* between two sweeps: the whole table in sixteen */
};

/* What a rule, or the default of a direction, does. */
struct firewall_action {
    uint32_t line, limit, limit_key;
    uint8_t verdict, icmp_reject, actions;
    uint8_t unused;
};

struct firewall_count {
    uint64_t packets, bytes;
};

/* A table as it is used, in force or spare. The defaults stand behind the rules. */
struct firewall_half {
    bool loaded;
    uint16_t flags; /* of the header */
    uint32_t rules;
    bool programs; /* there are some */
    struct firewall_action action[PIGLET_FIREWALL_RULES_MAX + FIREWALL_DIRECTIONS];
    struct firewall_count count[PIGLET_FIREWALL_RULES_MAX + FIREWALL_DIRECTIONS];
    struct classifier classifier;
};

struct firewall {
    struct service_timer sweep;
    bool sweeping;
    bool unseen;        /* packets passed that no flow followed */
    bool open, pick_up; /* settings, and so are these: */
    uint32_t half_open, log_rate;
    uint32_t opening_s, established_s, closing_s, closed_s, udp_s, stream_s, icmp_s, other_s;
    struct flow_table *flows;             /* once started */
    struct firewall_half *active, *spare; /* once something was loaded */
    struct classifier_scratch *scratch;
    uint16_t generation; /* of what is in force */
    uint64_t log_interval_ns, log_due_ns;
    struct {
        uint64_t *accepted, *asked, *begun, *gave_way, *expired, *ended;
    } count;
};

/* judge.c: the handlers. */
void firewall_receive(struct service_self *self, struct batch *batch);
void firewall_transmit(struct service_self *self, struct batch *batch);

/* live.c: bit i is set where frame[i] passes as one of a live flow; nothing was done about the others.
 * count is at most 64. For tables with flows that are not asked about each packet. */
uint64_t firewall_live(struct firewall *firewall, struct frame *const *frame, unsigned count);

/* packet.c: headers as keys. */

/* A packet on its way through the firewall. */
struct firewall_packet {
    struct rules_key key; /* its state is not in yet */
    struct flow_packet flow;
    struct flow_packet quoted; /* what an ICMP error is about; protocol 0: nothing to be seen */
    bool fragment;             /* behind the first: it belongs to no flow that could be found */
    bool cut;                  /* its transport header is not whole */
};

/* The IPv4 packet of a frame with its l3, l4 and end. */
void firewall_read(const struct frame *frame, uint8_t direction, uint8_t nic_in, uint8_t nic_out,
                   struct firewall_packet *packet);

/* The first packet of a flow, as far as rules care, apart from programs. */
struct rules_key firewall_flow_key(const struct flow *flow);

#endif

/* The firewall's table: what a rule compiler makes and the firewall service loads.
 *
 *   +--------+----------------------+----------------------------------+
 *   | header | rules, rule_count of | instructions of pcap-filter      |
 *   | 64     | 80 bytes each        | programs, bpf_count of 8 bytes   |
 *   +--------+----------------------+----------------------------------+
 *   0        64                     64 + 80 * rule_count               `bytes`
 *
 * Host byte order, no holes, no pointers. A table is refused whole unless every field is as said
 * here; fields and bits without a meaning are 0. The version changes when the meaning of a byte
 * does.
 *
 * Meaning. A packet is judged by the first rule that matches in all its fields, or by the default of
 * its direction. A packet that begins a connection and is accepted makes a flow; packets of a live
 * flow, in both directions, and ICMP errors about one pass without the rules, until other rules are
 * in force: then the flow's next packet has its first one judged anew, as a new connection. With
 * PIGLET_FIREWALL_EVERY_PACKET the rules are asked about each packet besides, so that rules about
 * established and related ones have a say. With PIGLET_FIREWALL_STATELESS there are no flows, and
 * each packet is a new one.
 *
 * An invalid packet (of no flow and not the beginning of one, or outside its flow's window) passes
 * only by a rule that names PIGLET_STATE_INVALID, and is otherwise dropped. */
#ifndef PIGLET_FIREWALL_H
#define PIGLET_FIREWALL_H

#include <stdint.h>

#define PIGLET_FIREWALL_MAGIC 0x6c775770u /* "pWwl" */

enum {
    PIGLET_FIREWALL_VERSION = 1,
    PIGLET_FIREWALL_RULES_MAX = 10000,
    PIGLET_FIREWALL_BPF_MAX = 4096, /* instructions of all rules together, so of one packet too */
    PIGLET_FIREWALL_NIC_ANY = 255,
    PIGLET_FIREWALL_NIC_MAX = 31,
    PIGLET_FIREWALL_LIMIT_MAX = 65535, /* connections of one source */
};

/* Header flags. */
enum {
    PIGLET_FIREWALL_STATELESS = 1 << 0,
    PIGLET_FIREWALL_EVERY_PACKET = 1 << 1,
};

enum piglet_direction {
    PIGLET_DIRECTION_IN = 1 << 0,      /* to us */
    PIGLET_DIRECTION_OUT = 1 << 1,     /* sent by us */
    PIGLET_DIRECTION_FORWARD = 1 << 2, /* through us */
};

enum piglet_state {
    PIGLET_STATE_NEW = 1 << 0,         /* the beginning of a connection */
    PIGLET_STATE_ESTABLISHED = 1 << 1, /* of a live flow */
    PIGLET_STATE_RELATED = 1 << 2,     /* an ICMP error about a live flow */
    PIGLET_STATE_INVALID = 1 << 3,
};

enum piglet_fragment {
    PIGLET_FRAGMENT_WHOLE = 1 << 0, /* no fragment */
    PIGLET_FRAGMENT_FIRST = 1 << 1,
    PIGLET_FRAGMENT_LATER = 1 << 2, /* it has no transport header */
};

enum piglet_verdict {
    PIGLET_VERDICT_ACCEPT,
    PIGLET_VERDICT_DROP,
    PIGLET_VERDICT_REJECT, /* drop, and tell the sender by ICMP unreachable, code `icmp_reject` */
    PIGLET_VERDICT_RESET,  /* TCP: drop, and answer by a reset; others are rejected as above */
};

/* Which fields of a rule are meant. Addresses, ports, directions always are. */
enum piglet_rule_match {
    PIGLET_MATCH_PROTOCOL = 1 << 0,
    PIGLET_MATCH_ICMP_TYPE = 1 << 1, /* protocol is ICMP; and so for the code */
    PIGLET_MATCH_ICMP_CODE = 1 << 2,
};

enum piglet_rule_action {
    PIGLET_ACTION_LOG = 1 << 0,   /* a line in the log, a few a second at most */
    PIGLET_ACTION_COUNT = 1 << 1, /* count packets of the rule's flows too, and bytes */
};

struct piglet_firewall_header {
    uint32_t magic;
    uint16_t version;
    uint16_t flags;
    uint32_t bytes; /* of the whole table */
    uint32_t rule_count;
    uint32_t bpf_count;
    /* For packets that no rule matches: enum piglet_verdict, and the code of a reject's error. */
    uint8_t verdict_in, verdict_out, verdict_forward;
    uint8_t icmp_reject;
    uint32_t line_in, line_out, line_forward; /* of these in the source, for people; 0: none */
    uint32_t zero[7];
};
_Static_assert(sizeof(struct piglet_firewall_header) == 64, "ABI");

struct piglet_firewall_rule {
    uint32_t from, to;                 /* bits behind the prefix are 0 */
    uint8_t from_length, to_length;    /* 0: any .. 32 */
    uint16_t match;                    /* enum piglet_rule_match */
    uint16_t from_port, from_port_end; /* 0, 65535: any, with or without ports. Anything else */
    uint16_t to_port, to_port_end;     /* wants protocol TCP, UDP, DCCP, SCTP or UDP-Lite */
    uint8_t protocol;
    uint8_t directions;          /* enum piglet_direction, at least one */
    uint8_t nic_in, nic_out;     /* index, or PIGLET_FIREWALL_NIC_ANY */
    uint8_t tcp_mask, tcp_value; /* flags looked at, and what they are; mask 0: any */
    uint8_t icmp_type, icmp_code;
    uint8_t fragments; /* enum piglet_fragment; 0: any */
    uint8_t states;    /* enum piglet_state; 0: any but invalid */
    uint8_t verdict;   /* enum piglet_verdict */
    uint8_t icmp_reject;
    uint8_t actions; /* enum piglet_rule_action */
    uint8_t zero_byte[3];
    uint32_t line;      /* of the rule in its source, for people; 0: none */
    uint32_t limit;     /* accept: connections one source may have by this rule; 0: no limit. A */
    uint32_t limit_key; /* further one is dropped. Rules with one key share their counts */
    uint32_t bpf_at;    /* first instruction of the program that must not return 0, */
    uint32_t bpf_count; /* and how many; 0: none */
    uint32_t zero[6];
};
_Static_assert(sizeof(struct piglet_firewall_rule) == 80, "ABI");

/* An instruction of classic BPF, as libpcap makes and Linux takes it (struct sock_filter). The
 * packet begins with its Ethernet header; reading beyond its end makes the program return 0. */
struct piglet_bpf {
    uint16_t code;
    uint8_t jump_true, jump_false;
    uint32_t k;
};
_Static_assert(sizeof(struct piglet_bpf) == 8, "ABI");

#endif

/* Why frames were dropped: the flight recorder's records, told in words. */
#define _GNU_SOURCE
#include "tools/pigctl/filter.h"
#include "tools/pigctl/pigctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum {
    WHAT_ROOM = 128,
};

struct why {
    struct output output;
    bool json, filtered;
    struct bpf_program filter;
    uint64_t shown, now_ns;
};

/* ---- what a frame is ----------------------------------------------------------------------------- */

static void tcp_flags_text(char *text, uint8_t flags)
{
    static const char name[] = "FSRPAU";
    unsigned length = 0;
    for (unsigned i = 0; i < sizeof name - 1; i++)
        if (flags >> i & 1)
            text[length++] = name[i];
    if (length == 0)
        text[length++] = '-';
    text[length] = 0;
}

/* "10.0.0.9:4432 > 10.0.0.2:22 tcp S": as far as the bytes go. */
static void ipv4_text(char *text, size_t room, const uint8_t *data, size_t kept)
{
    char from[16], to[16], flags[8];
    struct ipv4_header ip;
    if (kept < ETH_HEADER_LENGTH + sizeof ip) {
        snprintf(text, room, "the beginning of an IPv4 packet");
        return;
    }
    memcpy(&ip, data + ETH_HEADER_LENGTH, sizeof ip);
    piglet_address_text(be32_get(ip.from), from, sizeof from);
    piglet_address_text(be32_get(ip.to), to, sizeof to);
    size_t l4 = ETH_HEADER_LENGTH + ipv4_header_length(&ip);
    bool first = (be16_get(ip.fragment) & IPV4_FRAGMENT_OFFSET) == 0;
    if (!first) {
        snprintf(text, room, "%s > %s protocol %u, a later fragment", from, to, ip.protocol);
    } else if (ip.protocol == IPV4_UDP && kept >= l4 + sizeof(struct udp_header)) {
        struct udp_header udp;
        memcpy(&udp, data + l4, sizeof udp);
        snprintf(text, room, "%s:%u > %s:%u udp", from, be16_get(udp.from), to, be16_get(udp.to));
    } else if (ip.protocol == IPV4_TCP && kept >= l4 + sizeof(struct tcp_header)) {
        struct tcp_header tcp;
        memcpy(&tcp, data + l4, sizeof tcp);
        tcp_flags_text(flags, tcp.flags);
        snprintf(text, room, "%s:%u > %s:%u tcp %s", from, be16_get(tcp.from), to, be16_get(tcp.to),
                 flags);
    } else if (ip.protocol == IPV4_ICMP && kept >= l4 + sizeof(struct icmp_header)) {
        struct icmp_header icmp;
        memcpy(&icmp, data + l4, sizeof icmp);
        snprintf(text, room, "%s > %s icmp type %u code %u", from, to, icmp.type, icmp.code);
    } else {
        snprintf(text, room, "%s > %s protocol %u", from, to, ip.protocol);
    }
}

static void arp_text(char *text, size_t room, const uint8_t *data, size_t kept)
{
    char from[16], to[16];
    struct arp_packet arp;
    if (kept < ETH_HEADER_LENGTH + sizeof arp) {
        snprintf(text, room, "the beginning of an ARP packet");
        return;
    }
    memcpy(&arp, data + ETH_HEADER_LENGTH, sizeof arp);
    piglet_address_text(be32_get(arp.sender_ip), from, sizeof from);
    piglet_address_text(be32_get(arp.target_ip), to, sizeof to);
    snprintf(text, room, "%s > %s arp %s", from, to,
             be16_is(arp.operation, ARP_REQUEST) ? "request" : "reply");
}

static void frame_text(char *text, size_t room, const struct piglet_record_entry *record)
{
    struct eth_header eth;
    if (record->kept < sizeof eth) {
        snprintf(text, room, "a runt");
        return;
    }
    memcpy(&eth, record->bytes, sizeof eth);
    /* A frame that could not be sent for want of its next hop's address has no type yet. */
    if (be16_is(eth.type, ETH_TYPE_IPV4))
        ipv4_text(text, room, record->bytes, record->kept);
    else if (be16_is(eth.type, ETH_TYPE_ARP))
        arp_text(text, room, record->bytes, record->kept);
    else
        snprintf(
            text, room, "%02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x type %04x",
            eth.from[0], eth.from[1], eth.from[2], eth.from[3], eth.from[4], eth.from[5], eth.to[0],
            eth.to[1], eth.to[2], eth.to[3], eth.to[4], eth.to[5], be16_get(eth.type));
}

/* ---- telling ------------------------------------------------------------------------------------- */

static bool wanted(const struct why *why, const struct piglet_record_entry *record)
{
    if (!why->filtered)
        return true;
    struct pcap_pkthdr header = {.caplen = record->kept, .len = record->length};
    return pcap_offline_filter(&why->filter, &header, record->bytes) != 0;
}

/* "12.345678 nic0 in, 60 bytes, 10.0.0.9:4432 > 10.0.0.2:22 tcp S: dropped by icmp: nobody listens on
 * this TCP port (tcp-no-port)" */
static void tell(const struct piglet_record_entry *record, const char *what, const char *who,
                 const char *reason, const char *sentence)
{
    printf("%5" PRIu64 ".%06" PRIu64 " nic%u %s, %u bytes, %s: dropped by %s: %s (%s)",
           record->time_ns / 1000000000, record->time_ns / 1000 % 1000000, record->nic,
           record->outgoing ? "out" : "in", record->length, what, who, sentence, reason);
    if (record->rule)
        printf(", rule in line %u", record->rule);
    putchar('\n');
}

static int why_row(const void *entry, void *context)
{
    struct piglet_record_entry record = *(const struct piglet_record_entry *)entry;
    struct why *why = context;
    char what[WHAT_ROOM], who[sizeof record.who + 1], reason[sizeof record.reason + 1],
        sentence[sizeof record.sentence + 1], bytes[2 * sizeof record.bytes + 1] = "";
    if (record.kept > sizeof record.bytes)
        record.kept = sizeof record.bytes;
    text_clean(who, sizeof who, record.who, sizeof record.who);
    text_clean(reason, sizeof reason, record.reason, sizeof record.reason);
    text_clean(sentence, sizeof sentence, record.sentence, sizeof record.sentence);
    if (strncmp(reason, "firewall", 8) != 0)
        record.rule = 0;
    if (!wanted(why, &record))
        return 0;
    frame_text(what, sizeof what, &record);
    why->shown++;
    if (!why->json) {
        tell(&record, what, who, reason, sentence);
        return 0;
    }
    for (unsigned i = 0; i < record.kept; i++)
        sprintf(bytes + 2 * i, "%02x", record.bytes[i]);
    output_row(&why->output);
    put_count(&why->output, "number", record.number);
    put_time(&why->output, "time_ns", record.time_ns);
    put_count(&why->output, "nic", record.nic);
    put_word(&why->output, "direction", record.outgoing ? "out" : "in");
    put_count(&why->output, "length", record.length);
    put_word(&why->output, "what", what);
    put_word(&why->output, "by", who);
    put_word(&why->output, "reason", reason);
    put_word(&why->output, "sentence", sentence);
    put_count(&why->output, "rule", record.rule);
    put_word(&why->output, "bytes", bytes);
    return 0;
}

int why(struct session *session, int count, char **words)
{
    struct why why = {.json = session->json};
    int code = count ? filter_compile(session, count, words, &why.filter) : PIGCTL_DONE;
    if (code != PIGCTL_DONE)
        return code;
    why.filtered = count != 0;
    if (why.json)
        output_begin(&why.output, true, OUTPUT_TABLE);
    int error = piglet_read_table(session->piglet, PIGLET_OP_RECORD_READ, 0, why_row, &why);
    if (why.filtered)
        pcap_freecode(&why.filter);
    if (error)
        return complain_error("why", error);
    if (why.json)
        output_end(&why.output, "");
    else if (!why.shown)
        puts(why.filtered ? "no such frame is among the last that were dropped"
                          : "no frame was dropped");
    return PIGCTL_DONE;
}

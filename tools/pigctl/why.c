/* Why frames were dropped: the flight recorder's records, told in words. */
#define _GNU_SOURCE
#include "tools/pigctl/filter.h"
#include "tools/pigctl/language.h"

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
    bool all; /* those that passed, too */
    struct bpf_program filter;
    uint64_t shown;
    struct piglet_service_entry *service;
    int services;
    struct config tables; /* their texts */
};

/* A record in words. */
struct telling {
    char what[WHAT_ROOM], who[16 + 1], reason[24 + 1], sentence[88 + 1];
    struct table_line line; /* its text is empty: it is not known */
    bool replaced;          /* another table is in force now */
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

bool record_passed(const struct piglet_record_entry *record)
{
    return strncmp(record->reason, "none", sizeof record->reason) == 0;
}

/* ---- whose doing it was -------------------------------------------------------------------------- */

static bool is_of(const char *reason, const char *service)
{
    size_t length = strlen(service);
    return strncmp(reason, service, length) == 0 && reason[length] == '-';
}

/* The line of the table that decided: reasons begin with the name of the service that has it. */
static void line_find(const struct why *why, const struct piglet_record_entry *record,
                      struct telling *telling)
{
    char name[sizeof why->service->name + 1] = "";
    const char *reason = record_passed(record) && record->line ? "firewall-" : telling->reason;
    int i;
    for (i = 0; i < why->services && !(*name && is_of(reason, name)); i++)
        text_clean(name, sizeof name, why->service[i].name, sizeof why->service[i].name);
    if (!is_of(reason, name))
        return;
    telling->replaced = record->swaps < why->service[i - 1].table_since;
    /* Where the sender is told, icmp does that, and drops the frame. */
    if (strcmp(telling->who, "icmp") == 0)
        memcpy(telling->who, name, sizeof telling->who);
    for (unsigned j = 0; j < why->tables.tables && !telling->replaced; j++)
        if (strcmp(why->tables.table[j].service, name) == 0)
            table_text_line(why->tables.table[j].text, why->tables.table[j].text_bytes,
                            record->line, &telling->line);
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
 * this TCP port (tcp-no-port)", and where a line of a table decided: "; site.conf:7: drop in tcp" */
static void tell(const struct piglet_record_entry *record, const struct telling *telling)
{
    printf("%5" PRIu64 ".%06" PRIu64 " nic%u %s, %u bytes, %s: ", record->time_ns / 1000000000,
           record->time_ns / 1000 % 1000000, record->nic, record->outgoing ? "out" : "in",
           record->length, telling->what);
    if (record_passed(record))
        fputs(record->outgoing ? "sent" : "received", stdout);
    else
        printf("dropped by %s: %s (%s)", telling->who, telling->sentence, telling->reason);
    if (*telling->line.text)
        printf("; %s:%u: %s", telling->line.file, record->line, telling->line.text);
    else if (record->line)
        printf("; line %u%s", record->line,
               telling->replaced ? " of a table that was replaced since" : "");
    putchar('\n');
}

static void tell_json(struct why *why, const struct piglet_record_entry *record,
                      const struct telling *telling)
{
    char bytes[2 * sizeof record->bytes + 1] = "";
    for (unsigned i = 0; i < record->kept; i++)
        sprintf(bytes + 2 * i, "%02x", record->bytes[i]);
    output_row(&why->output);
    put_count(&why->output, "number", record->number);
    put_time(&why->output, "time_ns", record->time_ns);
    put_count(&why->output, "nic", record->nic);
    put_word(&why->output, "direction", record->outgoing ? "out" : "in");
    put_count(&why->output, "length", record->length);
    put_word(&why->output, "what", telling->what);
    put_word(&why->output, "by", telling->who);
    put_word(&why->output, "reason", telling->reason);
    put_word(&why->output, "sentence", telling->sentence);
    put_count(&why->output, "line", record->line);
    put_word(&why->output, "file", telling->line.file);
    put_word(&why->output, "text", telling->line.text);
    put_word(&why->output, "replaced", telling->replaced ? "yes" : "no");
    put_word(&why->output, "bytes", bytes);
}

static void why_row(struct why *why, struct piglet_record_entry *record)
{
    struct telling telling = {.replaced = false};
    if (record->kept > sizeof record->bytes)
        record->kept = sizeof record->bytes;
    if ((!why->all && record_passed(record)) || !wanted(why, record))
        return;
    text_clean(telling.who, sizeof telling.who, record->who, sizeof record->who);
    text_clean(telling.reason, sizeof telling.reason, record->reason, sizeof record->reason);
    text_clean(telling.sentence, sizeof telling.sentence, record->sentence,
               sizeof record->sentence);
    frame_text(telling.what, sizeof telling.what, record);
    line_find(why, record, &telling);
    why->shown++;
    if (why->json)
        tell_json(why, record, &telling);
    else
        tell(record, &telling);
}

/* The tables after the records: one that was replaced meanwhile is seen to be another. */
static int why_read(struct session *session, struct why *why, void **records)
{
    void *services = NULL;
    int count = piglet_load_table(session->piglet, PIGLET_OP_RECORD_READ, 0, records);
    int error = count < 0 ? count : config_tables_read(session->piglet, &why->tables);
    if (error < 0)
        return error;
    why->services = piglet_load_table(session->piglet, PIGLET_OP_SERVICE_LIST, 0, &services);
    why->service = services;
    return why->services < 0 ? why->services : count;
}

int why(struct session *session, int count, char **words)
{
    struct why why = {.json = session->json};
    void *records = NULL;
    why.all = count && strcmp(words[0], "--all") == 0;
    count -= why.all;
    words += why.all;
    int code = count ? filter_compile(session, count, words, &why.filter) : PIGCTL_DONE;
    if (code != PIGCTL_DONE)
        return code;
    why.filtered = count != 0;
    int read = why_read(session, &why, &records);
    if (why.json && read >= 0)
        output_begin(&why.output, true, OUTPUT_TABLE);
    for (int i = 0; i < read; i++)
        why_row(&why, (struct piglet_record_entry *)records + i);
    if (why.filtered)
        pcap_freecode(&why.filter);
    config_free(&why.tables);
    free(why.service);
    free(records);
    if (read < 0)
        return complain_error("why", read);
    if (why.json)
        output_end(&why.output, "");
    else if (!why.shown)
        puts(why.filtered ? "no such frame is among the last that were dropped"
             : why.all    ? "no frame was recorded; `pigctl services start recorder`"
                          : "no frame was dropped");
    return PIGCTL_DONE;
}

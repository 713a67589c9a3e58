/* The firewall's live connections: who talks to whom, since when, how much, and by which rule. */
#define _GNU_SOURCE
#include "tools/pigctl/filter.h"
#include "tools/pigctl/language.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

#define NS_PER_SECOND 1000000000ull

struct flow {
    unsigned protocol, from_port, to_port, left_s, age_s, line;
    uint32_t from, to;
    char state[16];
    uint64_t frames, bytes;
};

struct flows {
    struct flow *flow;
    unsigned count;
    bool filtered;
    struct bpf_program filter;
    struct config tables;
    const char *sort;
    uint64_t most;
};

/* "6 10.0.0.1:5001 > 10.0.0.2:22 established left 431999 age 60 frames 120 bytes 9000 line 7". False:
 * the line is about something else. */
static bool flow_read(const char *line, struct flow *flow)
{
    char from[16], to[16], end;
    return sscanf(line,
                  "%3u %15[0-9.]:%5u > %15[0-9.]:%5u %15s left %10u age %10u frames %" SCNu64
                  " bytes %" SCNu64 " line %10u%c",
                  &flow->protocol, from, &flow->from_port, to, &flow->to_port, flow->state,
                  &flow->left_s, &flow->age_s, &flow->frames, &flow->bytes, &flow->line,
                  &end) == 11 &&
           parse_address(from, &flow->from) && parse_address(to, &flow->to);
}

/* Whether the expression fits a packet of the one who began. */
static bool flow_wanted(const struct flows *flows, const struct flow *flow)
{
    struct {
        struct eth_header eth;
        struct ipv4_header ip;
        uint8_t l4[20]; /* ports stand first in all that have some */
    } __attribute__((packed)) frame = {.ip = {.version_length = 0x45, .ttl = 64}};
    struct udp_header ports = {be16((uint16_t)flow->from_port), be16((uint16_t)flow->to_port),
                               be16(sizeof frame.l4), be16(0)};
    if (!flows->filtered)
        return true;
    frame.eth.type = be16(ETH_TYPE_IPV4);
    frame.ip.protocol = (uint8_t)flow->protocol;
    frame.ip.total_length = be16(sizeof frame.ip + sizeof frame.l4);
    frame.ip.from = be32(flow->from);
    frame.ip.to = be32(flow->to);
    if (flow->protocol == IPV4_ICMP)
        frame.l4[0] = ICMP_ECHO_REQUEST;
    else
        memcpy(frame.l4, &ports, sizeof ports);
    struct pcap_pkthdr header = {.caplen = sizeof frame, .len = sizeof frame};
    return pcap_offline_filter(&flows->filter, &header, (const u_char *)&frame) != 0;
}

static int flow_row(const void *entry, void *context)
{
    const struct piglet_text_entry *row = entry;
    struct flows *flows = context;
    struct flow flow = {.protocol = 0};
    char text[sizeof row->text + 1];
    text_clean(text, sizeof text, row->text, sizeof row->text);
    if (!flow_read(text, &flow) || !flow_wanted(flows, &flow))
        return 0;
    struct flow *to = LIST_ADD(flows->flow, flows->count);
    *to = flow;
    return 0;
}

static uint64_t flow_key(const struct flow *flow, const char *key)
{
    if (strcmp(key, "age") == 0)
        return flow->age_s;
    return strcmp(key, "frames") == 0 ? flow->frames : flow->bytes;
}

static int flow_order(const void *one, const void *other, void *key)
{
    uint64_t a = flow_key(one, key), b = flow_key(other, key);
    return a < b ? 1 : a > b ? -1 : 0;
}

static void flow_print(struct output *output, const struct flows *flows, const struct flow *flow)
{
    char from[16], to[16], text[TEXT_ROOM];
    struct table_line line = {.text = ""};
    const char *name = flow->protocol == IPV4_TCP    ? "tcp"
                       : flow->protocol == IPV4_UDP  ? "udp"
                       : flow->protocol == IPV4_ICMP ? "icmp"
                                                     : NULL;
    piglet_address_text(flow->from, from, sizeof from);
    piglet_address_text(flow->to, to, sizeof to);
    for (unsigned i = 0; i < flows->tables.tables; i++)
        if (strcmp(flows->tables.table[i].service, "firewall") == 0)
            table_text_line(flows->tables.table[i].text, flows->tables.table[i].text_bytes,
                            flow->line, &line);
    output_row(output);
    snprintf(text, sizeof text, "%u", flow->protocol);
    put_word(output, "protocol", name ? name : text);
    snprintf(text, sizeof text, "%s:%u", from, flow->from_port);
    put_word(output, "from", text);
    snprintf(text, sizeof text, "%s:%u", to, flow->to_port);
    put_word(output, "to", text);
    put_word(output, "state", flow->state);
    put_count(output, "frames", flow->frames);
    put_bytes(output, "bytes", flow->bytes);
    put_time(output, "age_ns", flow->age_s * NS_PER_SECOND);
    put_time(output, "left_ns", flow->left_s * NS_PER_SECOND);
    put_count(output, "line", flow->line);
    put_word(output, "rule", line.text);
}

static int flows_load(struct session *session, struct flows *flows)
{
    struct piglet_service_entry *services;
    int code = PIGCTL_REFUSED, error = 0;
    const struct piglet_service_entry *firewall = service_find(session, "firewall", &services);
    if (firewall && !firewall->running)
        code = complain(PIGCTL_REFUSED, "flows: only the firewall follows connections, and it does "
                                        "not run; `pigctl services start firewall`");
    else if (firewall) {
        error = piglet_read_table(session->piglet, PIGLET_OP_SERVICE_SHOW,
                                  (uint64_t)firewall->number << 32, flow_row, flows);
        if (error == 0)
            error = config_tables_read(session->piglet, &flows->tables);
        code = error ? complain_error("flows", error) : PIGCTL_DONE;
    }
    free(services);
    return code;
}

/* Options stand before the expression. */
static int flows_options(struct flows *flows, int *count, char ***words)
{
    for (; *count && **words[0] == '-'; *count -= 2, *words += 2) {
        const char *option = (*words)[0], *value = *count > 1 ? (*words)[1] : "";
        bool sort = strcmp(option, "--sort") == 0;
        if (!sort && strcmp(option, "-n") != 0)
            return complain(PIGCTL_USAGE, "flows: unexpected \"%s\"; see `pigctl help flows`",
                            option);
        if (sort && strcmp(value, "bytes") != 0 && strcmp(value, "frames") != 0 &&
            strcmp(value, "age") != 0)
            return complain(PIGCTL_USAGE, "flows --sort: expected bytes, frames or age");
        if (!sort && (!parse_number(value, UINT32_MAX, &flows->most) || !flows->most))
            return complain(PIGCTL_USAGE, "flows -n: expected how many to show");
        flows->sort = sort ? value : flows->sort;
    }
    return PIGCTL_DONE;
}

int show_flows(struct session *session, int count, char **words)
{
    struct flows flows = {.sort = "bytes", .most = UINT32_MAX};
    struct output output;
    int code = flows_options(&flows, &count, &words);
    if (code == PIGCTL_DONE && count)
        code = filter_compile(session, count, words, &flows.filter);
    if (code != PIGCTL_DONE)
        return code;
    flows.filtered = count != 0;
    code = flows_load(session, &flows);
    if (code == PIGCTL_DONE) {
        if (flows.count)
            qsort_r(flows.flow, flows.count, sizeof *flows.flow, flow_order, (void *)flows.sort);
        output_begin(&output, session->json, OUTPUT_TABLE);
        for (unsigned i = 0; i < flows.count && i < flows.most; i++)
            flow_print(&output, &flows, &flows.flow[i]);
        output_end(&output, "no connections");
    }
    if (flows.filtered)
        pcap_freecode(&flows.filter);
    config_free(&flows.tables);
    free(flows.flow);
    return code;
}

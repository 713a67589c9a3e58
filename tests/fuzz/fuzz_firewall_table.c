/* Fuzzes the firewall: any bytes as its table, then any frames through it.
 *
 * The input: flags (1 byte: 1 mends the header, 2 the rules, 4 loads it again between the frames), the
 * table's length (2 bytes), the table (no more than half of the input; the rest of it is zero), and
 * frames as in fuzz_frame: nic and time step (1 byte), length (1 byte), and bytes behind a good
 * Ethernet header and with a good IPv4 checksum. No sanitizer may complain, nothing panic, and every
 * frame must be back in the pool at the end. */
#include <stdlib.h>
#include <string.h>

#include "kernel/chain.h"
#include "tests/model/firewall_table.h"
#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { MEND_HEADER = 1, MEND_RULES = 2, LOAD_TWICE = 4, FRAME_HEADER = 2 };

static void mend(uint8_t *table, size_t bytes, unsigned flags)
{
    struct piglet_firewall_header *header = (void *)table;
    struct piglet_firewall_rule *rule = (void *)(header + 1);
    if (bytes < sizeof *header)
        return;
    uint32_t rest = (uint32_t)(bytes - sizeof *header);
    uint32_t rules = rest / sizeof *rule, programs = rest % sizeof *rule / 8;
    header->magic = PIGLET_FIREWALL_MAGIC;
    header->version = PIGLET_FIREWALL_VERSION;
    header->flags &= PIGLET_FIREWALL_EVERY_PACKET;
    header->bytes = (uint32_t)(sizeof *header + rules * sizeof *rule + programs * 8);
    header->rule_count = rules;
    header->bpf_count = programs;
    header->verdict_in &= 3;
    header->verdict_out &= 3;
    header->verdict_forward &= 3;
    header->icmp_reject &= 3;
    memset(header->zero, 0, sizeof header->zero);
    for (uint32_t i = 0; i < rules && flags & MEND_RULES; i++)
        rule_mend(&rule[i], programs);
}

static void load(struct core *core, uint8_t *table, size_t bytes, unsigned flags)
{
    struct service_self *self = chain_find(core, "firewall");
    struct piglet_firewall_header *header = (void *)table;
    if (flags & MEND_HEADER) {
        mend(table, bytes, flags);
        if (bytes >= sizeof *header)
            bytes = header->bytes;
    }
    int number = chain_service_load(self, table, bytes);
    if (number < 0 && self->load_error_at > bytes)
        abort(); /* it complains about what is not there */
    if (number > 0 && chain_service_swap(self, (uint64_t)number) != 0)
        abort();
}

static void inject(struct core *core, unsigned nic, const uint8_t *data, size_t bytes)
{
    struct packet packet = packet_ipv4(IP(10, 0, 0, 1), IP(10, 1, 0, 9), IPV4_UDP, 0);
    eth_copy(packet_eth(&packet)->to, nic ? NIC1_MAC : NIC0_MAC);
    memcpy(packet.data + ETH_HEADER_LENGTH, data, bytes);
    size_t header = ipv4_header_length(packet_ip(&packet));
    if (bytes >= IPV4_HEADER_MIN && header <= bytes)
        ipv4_checksum_set(packet_ip(&packet));
    sim_inject(core, nic, packet.data, ETH_HEADER_LENGTH + bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static _Alignas(8) uint8_t table[65536];
    if (bytes < 8)
        return 0;
    struct core *core = sim_start(2, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 log=error "
                                     "services=+echo,+forward,+firewall firewall.half_open=4");
    unsigned flags = data[0];
    size_t length = (size_t)data[1] << 8 | data[2];
    size_t given = length < bytes / 2 ? length : bytes / 2 - 1;
    memset(table, 0, length);
    memcpy(table, data + 3, given);
    load(core, table, length, flags);
    for (data += 3 + given, bytes -= 3 + given; bytes > FRAME_HEADER;) {
        size_t frame = data[1] < bytes - FRAME_HEADER ? data[1] : bytes - FRAME_HEADER;
        inject(core, data[0] & 1, data + FRAME_HEADER, frame);
        if (data[0] & 2)
            sim_advance_us(core, data[0] & 0x80 ? 31000000 : data[0]);
        if (flags & LOAD_TWICE && data[0] & 4)
            load(core, table, length, flags);
        data += FRAME_HEADER + frame;
        bytes -= FRAME_HEADER + frame;
    }
    sim_advance_us(core, 1000);
    char text[SERVICE_LINE_MAX];
    unsigned next = 0;
    struct service_self *self = chain_find(core, "firewall");
    while (self->service->show(self, &next, text, sizeof text))
        ;
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    if (sim_stop(core) != 0)
        abort(); /* a frame was lost */
    return 0;
}

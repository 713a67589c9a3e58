/* Fuzzes what DHCP servers say to the dhcp service.
 *
 * The input is a series of answers: what to do with them (1 byte), length (2 bytes), a DHCP message
 * from its first byte on. Unless the first byte says otherwise, the id is that of the client's last
 * message, so that the answer is read; UDP and IPv4 are right around it. Whatever is said, no
 * sanitizer may complain, the nic has at most one address, that is one for a station, and every frame
 * must be back in the pool at the end. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/packet.h"
#include "tests/sim/sim.h"
#include "wire/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

enum {
    HEADER = 3,
    ANSWER_MAX = 1472,
    /* What the first byte of an answer says. */
    NIC1 = 1,
    ID_AS_IT_IS = 2,
    FLAP = 4,     /* the link goes and comes */
    CLAIM = 8,    /* somebody else has the client's address */
    SECONDS = 16, /* and the bits above: how many go by */
};

static const uint8_t *const nic_mac[2] = {NIC0_MAC, NIC1_MAC};

/* The id of the client's last message; what else was sent is thrown away. */
static be32_t last_id(struct core *core, unsigned nic, be32_t before)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic))) {
        const struct udp_header *udp = (const struct udp_header *)(frame->data + 34);
        const struct dhcp_message *message = (const struct dhcp_message *)(udp + 1);
        if (frame->length > 42 + DHCP_HEADER_LENGTH && be16_is(udp->to, DHCP_PORT_SERVER))
            before = message->xid;
    }
    return before;
}

static void answer(struct core *core, unsigned what, const uint8_t *data, size_t bytes, be32_t id)
{
    unsigned nic = what & NIC1;
    struct packet packet = packet_udp_to(nic ? IP(10, 1, 0, 1) : IP(10, 0, 0, 1), DHCP_PORT_SERVER,
                                         UINT32_MAX, DHCP_PORT_CLIENT, (unsigned)bytes);
    struct dhcp_message *message = (struct dhcp_message *)(packet.data + 42);
    memcpy(message, data, bytes);
    if (!(what & ID_AS_IT_IS) && bytes >= sizeof *message) {
        message->xid = id;
        eth_copy(message->client_mac, nic_mac[nic]);
    }
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    packet_fix_udp(&packet);
    sim_inject(core, nic, packet.data, packet.length);
    sim_advance_us(core, 10);
}

static void claim(struct core *core, unsigned nic)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        struct packet taken = packet_arp_reply(core->routes.address[i].ip, 0);
        if (core->routes.address[i].ip && core->routes.address[i].nic == nic)
            sim_inject(core, nic, taken.data, taken.length);
    }
    sim_advance_us(core, 10);
}

static void check(const struct core *core)
{
    unsigned count[2] = {0};
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = &core->routes.address[i];
        if (address->ip && (++count[address->nic] > 1 || address->ip >> 28 == 0xe ||
                            address->ip >> 24 == 127 || address->ip >> 24 == 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct core *core = sim_start(2, "ip=dhcp ip=dhcp@nic1 log=error");
    be32_t id[2] = {{0}, {0}};
    sim_advance_us(core, 10);
    while (bytes > HEADER) {
        size_t length = (size_t)data[1] << 8 | data[2];
        unsigned what = data[0], nic = what & NIC1;
        if (length > bytes - HEADER)
            length = bytes - HEADER;
        if (length > ANSWER_MAX)
            length = ANSWER_MAX;
        for (unsigned i = 0; i < 2; i++)
            id[i] = last_id(core, i, id[i]);
        answer(core, what, data + HEADER, length, id[nic]);
        if (what & FLAP) {
            sim_link(core, nic, false);
            sim_link(core, nic, true);
        }
        if (what & CLAIM)
            claim(core, nic);
        sim_advance_us(core, what / SECONDS * 1000000ull);
        check(core);
        data += HEADER + length;
        bytes -= HEADER + length;
    }
    if (sim_stop(core) != 0)
        abort(); /* a frame was lost */
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    return 0;
}

/* Appends a good answer of some kind. */
static size_t append(uint8_t *data, size_t bytes, size_t room)
{
    static const uint8_t type[] = {DHCP_OFFER, DHCP_ACK, DHCP_ACK, DHCP_NAK};
    static const uint32_t lease_s[] = {1, 20, 3600, DHCP_LEASE_FOREVER};
    unsigned dice = (unsigned)rand();
    if (bytes + HEADER + DHCP_LENGTH_MIN > room)
        return bytes;
    uint8_t *to = data + bytes;
    struct dhcp_message *message = (struct dhcp_message *)(to + HEADER);
    memset(to, 0, HEADER + DHCP_LENGTH_MIN);
    to[0] = (uint8_t)(dice & 0x10 ? 0 : dice >> 8);
    to[1] = DHCP_LENGTH_MIN >> 8;
    to[2] = DHCP_LENGTH_MIN & 0xff;
    message->op = DHCP_OP_REPLY;
    message->hardware = DHCP_HARDWARE_ETHERNET;
    message->hardware_length = ETH_ADDRESS_LENGTH;
    message->yours = be32(IP(10, to[0] & NIC1, 0, 50));
    message->cookie = be32(DHCP_COOKIE);
    uint8_t *at = (uint8_t *)(message + 1);
    at = dhcp_option_put(at, DHCP_OPTION_TYPE, &type[dice & 3], 1);
    at = dhcp_option_put32(at, DHCP_OPTION_SERVER, IP(10, to[0] & NIC1, 0, 1));
    at = dhcp_option_put32(at, DHCP_OPTION_MASK, 0xffffff00);
    at = dhcp_option_put32(at, DHCP_OPTION_LEASE_S, lease_s[dice >> 2 & 3]);
    at = dhcp_option_put32(at, DHCP_OPTION_ROUTER, IP(10, to[0] & NIC1, 0, 1));
    *at = DHCP_OPTION_END;
    return bytes + HEADER + DHCP_LENGTH_MIN;
}

/* Whole answers are seldom found by chance, and two in order never. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    srand(seed);
    if (seed % 3 == 0)
        return append(data, bytes, room);
    return LLVMFuzzerMutate(data, bytes, room);
}

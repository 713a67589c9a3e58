/* What DHCP servers say, checked. Cost: each byte of an answer to us is looked at once. */
#include "services/dhcp/dhcp.h"

static uint32_t *answer_field(struct dhcp_answer *answer, uint8_t code)
{
    switch (code) {
    case DHCP_OPTION_MASK:
        return &answer->mask;
    case DHCP_OPTION_ROUTER:
        return &answer->gateway;
    case DHCP_OPTION_SERVER:
        return &answer->server;
    case DHCP_OPTION_LEASE_S:
        return &answer->lease_s;
    case DHCP_OPTION_RENEW_S:
        return &answer->renew_s;
    case DHCP_OPTION_REBIND_S:
        return &answer->rebind_s;
    default:
        return NULL;
    }
}

/* Of several the first counts. False: not of the length that it must be. */
static bool answer_take_number(uint32_t *field, const struct dhcp_option *option)
{
    be32_t value;
    bool list = option->code == DHCP_OPTION_ROUTER; /* in the order of preference */
    if (option->length < sizeof value || option->length % sizeof value ||
        (!list && option->length != sizeof value))
        return false;
    memcpy(&value, option->value, sizeof value);
    if (!*field)
        *field = be32_get(value);
    return true;
}

static bool answer_take_byte(uint8_t *field, const struct dhcp_option *option)
{
    if (option->length != 1)
        return false;
    *field = *option->value;
    return true;
}

/* Takes up the options of a field that matter to us. False: malformed. */
static bool answer_read_field(struct dhcp_answer *answer, const uint8_t *bytes, size_t length,
                              uint8_t *overload)
{
    struct dhcp_option option;
    size_t at = 0;
    while (dhcp_option_next(bytes, length, &at, &option)) {
        uint32_t *number = answer_field(answer, option.code);
        if (number && !answer_take_number(number, &option))
            return false;
        if (option.code == DHCP_OPTION_TYPE && !answer_take_byte(&answer->type, &option))
            return false;
        if (option.code == DHCP_OPTION_OVERLOAD && !answer_take_byte(overload, &option))
            return false;
        if (option.code == DHCP_OPTION_TEXT) {
            size_t room = sizeof answer->text - 1;
            memcpy(answer->text, option.value, option.length < room ? option.length : room);
        }
    }
    return at <= length;
}

/* RFC 2131 4.1: first the options, then those in `file`, then those in `sname`. */
static bool answer_read_options(struct dhcp_answer *answer, const struct dhcp_message *message,
                                size_t bytes)
{
    uint8_t overload = 0, ignored;
    return answer_read_field(answer, (const uint8_t *)(message + 1), bytes - sizeof *message,
                             &overload) &&
           (!(overload & DHCP_OVERLOAD_FILE) ||
            answer_read_field(answer, message->file, sizeof message->file, &ignored)) &&
           (!(overload & DHCP_OVERLOAD_SNAME) ||
            answer_read_field(answer, message->sname, sizeof message->sname, &ignored)) &&
           answer->type;
}

static bool answer_for_us(struct service_self *self, const struct dhcp_nic *nic,
                          const struct dhcp_message *message)
{
    return message->op == DHCP_OP_REPLY && be32_get(message->xid) == nic->xid &&
           message->hardware == DHCP_HARDWARE_ETHERNET &&
           message->hardware_length == ETH_ADDRESS_LENGTH &&
           eth_equal(message->client_mac, dhcp_wire(self, nic)->mac);
}

static bool answer_expected(const struct dhcp_nic *nic, const struct dhcp_answer *answer)
{
    if (nic->answer.type)
        return false; /* one at a time */
    switch (nic->state) {
    case DHCP_SELECTING:
        return answer->type == DHCP_OFFER;
    case DHCP_REQUESTING:
        if (answer->server != nic->offered_server)
            return false;
        __attribute__((fallthrough));
    case DHCP_RENEWING:
    case DHCP_REBINDING:
    case DHCP_VERIFYING:
        return answer->type == DHCP_ACK || answer->type == DHCP_NAK;
    default:
        return false;
    }
}

/* Before there were masks (RFC 791 3.2): for servers that give none. */
static uint32_t answer_class_mask(uint32_t ip)
{
    return ip >> 31 == 0 ? 0xff000000 : ip >> 30 == 2 ? 0xffff0000 : 0xffffff00;
}

/* Whether it grants an address that can be a station's, from a server that can be one, for a time.
 */
static bool answer_usable(struct service_self *self, struct dhcp_answer *answer)
{
    uint8_t type = service_route_to(self, answer->ip)->type;
    if (!answer->mask)
        answer->mask = answer_class_mask(answer->ip);
    answer->length = (uint8_t)__builtin_popcount(answer->mask);
    uint32_t most = ~answer->mask, host = answer->ip & most;
    if (most & (most + 1)) /* the mask has holes */
        return false;
    if (most > 1 && (host == 0 || host == most)) /* only a /31 and a /32 have no broadcast */
        return false;
    if (type != ROUTE_UNICAST && type != ROUTE_UNREACHABLE && type != ROUTE_LOCAL)
        return false;
    return service_route_to(self, answer->server)->type <= ROUTE_UNREACHABLE && answer->lease_s;
}

enum drop_reason dhcp_answer_read(struct service_self *self, const struct dhcp_nic *nic,
                                  const struct frame *frame, struct dhcp_answer *answer)
{
    const struct udp_header *udp = (const struct udp_header *)(frame->data + frame->l4);
    const struct dhcp_message *message = (const struct dhcp_message *)(udp + 1);
    size_t bytes = be16_get(udp->length) - sizeof *udp; /* the classifier has checked it */
    if (bytes < sizeof *message || be32_get(message->cookie) != DHCP_COOKIE)
        return DROP_DHCP_MALFORMED;
    if (!answer_for_us(self, nic, message))
        return DROP_DHCP_UNEXPECTED;
    *answer = (struct dhcp_answer){.ip = be32_get(message->yours)};
    if (!answer_read_options(answer, message, bytes))
        return DROP_DHCP_MALFORMED;
    if (!answer_expected(nic, answer))
        return DROP_DHCP_UNEXPECTED;
    if (answer->type != DHCP_NAK && !answer_usable(self, answer))
        return DROP_DHCP_UNUSABLE;
    eth_copy(answer->from, ((const struct eth_header *)frame->data)->from);
    return DROP_NONE;
}

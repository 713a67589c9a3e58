/* Lists of protocols, addresses and ports. */
#include "tools/pigctl/list.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t number;
} protocols[] = {
    {"icmp", 1}, {"igmp", 2}, {"tcp", 6},   {"udp", 17},   {"dccp", 33},  {"gre", 47},
    {"esp", 50}, {"ah", 51},  {"ospf", 89}, {"vrrp", 112}, {"sctp", 132}, {"udp-lite", 136},
};

/* ---- pieces of words ------------------------------------------------------------------------------- */

static void piece_cut(struct piece *piece, const char *separators)
{
    const char *at = piece->next;
    size_t length = strcspn(at, separators), room = sizeof piece->text - 1;
    snprintf(piece->text, sizeof piece->text, "%.*s", (int)(length < room ? length : room), at);
    if (length > room)
        memcpy(piece->text + room - 3, "...", 3); /* not to be taken for what it begins with */
    piece->next = at[length] ? at + length + 1 : NULL;
}

void piece_first(const struct word *word, struct piece *piece, const char *separators)
{
    *piece = (struct piece){.place = word->place, .next = word->text};
    piece_cut(piece, separators);
}

bool piece_next(struct piece *piece, const char *separators)
{
    if (!piece->next)
        return false;
    piece->place.column += (unsigned)strlen(piece->text) + 1;
    piece_cut(piece, separators);
    return true;
}

/* ---- items ----------------------------------------------------------------------------------------- */

/* NULL, or what was expected. */
typedef const char *item_function(const struct piece *piece, struct list_item *item);

static const char port_expected[] = "a port or a range, such as 80 or 1024-65535";
static const char prefix_expected[] = "an address, a prefix such as 10.0.0.0/24, or port";
static const char protocol_expected[] = "a protocol's name, such as tcp, or its number";

static const char *port_item(const struct piece *piece, struct list_item *item)
{
    char text[LIST_PIECE_ROOM];
    uint64_t first, last;
    memcpy(text, piece->text, sizeof text);
    char *dash = strchr(text, '-');
    if (dash)
        *dash = 0;
    if (!parse_number(text, UINT16_MAX, &first))
        return port_expected;
    last = first;
    if ((dash && !parse_number(dash + 1, UINT16_MAX, &last)) || last < first)
        return port_expected;
    *item = (struct list_item){(uint32_t)first, (uint32_t)last};
    return NULL;
}

static const char *prefix_item(const struct piece *piece, struct list_item *item)
{
    uint64_t prefix;
    uint32_t address;
    if (parse_address(piece->text, &address)) {
        *item = (struct list_item){address, 32};
        return NULL;
    }
    if (!parse_prefix(piece->text, &prefix))
        return prefix_expected;
    *item = (struct list_item){(uint32_t)(prefix >> 8), prefix & 0xff};
    return NULL;
}

static bool protocol_find(const char *text, uint32_t *number)
{
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (strcmp(protocols[i].name, text) == 0) {
            *number = protocols[i].number;
            return true;
        }
    return false;
}

static const char *protocol_item(const struct piece *piece, struct list_item *item)
{
    uint64_t number = 0;
    *item = (struct list_item){0, 1};
    if (protocol_find(piece->text, &item->first))
        return NULL;
    if (!parse_number(piece->text, UINT8_MAX, &number))
        return protocol_expected;
    item->first = (uint32_t)number;
    return NULL;
}

/* ---- lists ----------------------------------------------------------------------------------------- */

static const struct {
    item_function *read;
    const char *expected;
} kinds[LISTS] = {
    [LIST_PROTOCOL] = {protocol_item, protocol_expected},
    [LIST_SOURCE] = {prefix_item, prefix_expected},
    [LIST_DESTINATION] = {prefix_item, prefix_expected},
    [LIST_SOURCE_PORT] = {port_item, port_expected},
    [LIST_DESTINATION_PORT] = {port_item, port_expected},
};

const char *list_expected(enum list_kind kind)
{
    return kinds[kind].expected;
}

void lists_begin(struct list list[LISTS])
{
    for (unsigned i = 0; i < LISTS; i++) {
        list[i].count = 1;
        list[i].item[0] = (struct list_item){0, 0};
    }
    list[LIST_SOURCE_PORT].item[0].last = UINT16_MAX;
    list[LIST_DESTINATION_PORT].item[0].last = UINT16_MAX;
}

static int item_read(const char *block, const struct piece *piece, enum list_kind kind,
                     struct list_item *item)
{
    char network[LIST_PIECE_ROOM];
    const char *expected = kinds[kind].read(piece, item);
    if (expected)
        return complain_at(piece->place, PIGCTL_USAGE, "%s: \"%s\" is not understood; expected %s",
                           block, piece->text, expected);
    bool prefix = kind == LIST_SOURCE || kind == LIST_DESTINATION;
    uint32_t mask = prefix ? mask_of(item->last) : UINT32_MAX;
    if (!(item->first & ~mask))
        return PIGCTL_DONE;
    piglet_address_text(item->first & mask, network, sizeof network);
    return complain_at(piece->place, PIGCTL_USAGE,
                       "%s: \"%s\" has bits behind its length; expected %s/%u", block, piece->text,
                       network, item->last);
}

int list_read(const char *block, const struct word *word, enum list_kind kind, struct list *list)
{
    struct piece piece;
    piece_first(word, &piece, ",");
    list->count = 0;
    do {
        if (list->count == LIST_ITEMS_MAX)
            return complain_at(piece.place, PIGCTL_USAGE,
                               "%s: a list may have %d items; expected another line for the rest",
                               block, LIST_ITEMS_MAX);
        int code = item_read(block, &piece, kind, &list->item[list->count++]);
        if (code != PIGCTL_DONE)
            return code;
    } while (piece_next(&piece, ","));
    return PIGCTL_DONE;
}

bool list_of_protocols(const struct word *word)
{
    struct piece piece;
    uint32_t number;
    piece_first(word, &piece, ",");
    return protocol_find(piece.text, &number);
}

uint64_t lists_combinations(const struct list list[LISTS])
{
    uint64_t combinations = 1;
    for (unsigned i = 0; i < LISTS; i++)
        combinations *= list[i].count;
    return combinations;
}

bool lists_next(const struct list list[LISTS], unsigned at[LISTS])
{
    for (unsigned i = 0; i < LISTS; i++) {
        if (++at[i] < list[i].count)
            return true;
        at[i] = 0;
    }
    return false;
}

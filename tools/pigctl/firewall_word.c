/* Words of a firewall block: names, numbers, and lists of them in one word. */
#include <string.h>

#include "tools/pigctl/firewall.h"

static const struct firewall_name protocols[] = {
    {"icmp", FIREWALL_ICMP},
    {"igmp", 2},
    {"tcp", FIREWALL_TCP},
    {"udp", 17},
    {"dccp", 33},
    {"gre", 47},
    {"esp", 50},
    {"ah", 51},
    {"ospf", 89},
    {"vrrp", 112},
    {"sctp", 132},
    {"udp-lite", 136},
    {NULL, 0},
};

/* ---- words, and pieces of them -------------------------------------------------------------------- */

const struct word *firewall_peek(const struct firewall_reader *reader)
{
    return reader->at < reader->words->count ? &reader->words->word[reader->at] : NULL;
}

/* The next word is not what is expected, or there is none. */
int firewall_wrong(const struct firewall_reader *reader, const char *expected)
{
    const struct word *word = firewall_peek(reader);
    if (!word)
        return complain_at(reader->words->end, PIGCTL_USAGE, "firewall: expected %s", expected);
    return complain_at(word->place, PIGCTL_USAGE, "firewall: \"%s\" is not understood; expected %s",
                       word->text, expected);
}

static void piece_cut(struct firewall_piece *piece, const char *separators)
{
    const char *at = piece->next;
    size_t length = strcspn(at, separators), room = sizeof piece->text - 1;
    snprintf(piece->text, sizeof piece->text, "%.*s", (int)(length < room ? length : room), at);
    if (length > room)
        memcpy(piece->text + room - 3, "...", 3); /* not to be taken for what it begins with */
    piece->next = at[length] ? at + length + 1 : NULL;
}

bool firewall_piece(const struct firewall_reader *reader, struct firewall_piece *piece,
                    const char *separators)
{
    const struct word *word = firewall_peek(reader);
    if (!word)
        return false;
    *piece = (struct firewall_piece){.place = word->place, .next = word->text};
    piece_cut(piece, separators);
    return true;
}

bool firewall_piece_next(struct firewall_piece *piece, const char *separators)
{
    if (!piece->next)
        return false;
    piece->place.column += (unsigned)strlen(piece->text) + 1;
    piece_cut(piece, separators);
    return true;
}

int firewall_piece_wrong(const struct firewall_piece *piece, const char *expected)
{
    return complain_at(piece->place, PIGCTL_USAGE,
                       "firewall: \"%s\" is not understood; expected %s", piece->text, expected);
}

const struct firewall_name *firewall_name_find(const struct firewall_name *names, const char *text)
{
    for (; names->name; names++)
        if (strcmp(names->name, text) == 0)
            return names;
    return NULL;
}

/* "a state, of new, established, related, invalid" */
const char *firewall_names_text(const struct firewall_name *names, const char *what, char *text)
{
    size_t used = (size_t)snprintf(text, FIREWALL_NAMES_ROOM, "%s, of ", what);
    for (; names->name && used < FIREWALL_NAMES_ROOM; names++)
        used += (size_t)snprintf(text + used, FIREWALL_NAMES_ROOM - used, "%s%s", names->name,
                                 names[1].name ? ", " : "");
    return text;
}

int firewall_name_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, unsigned *value)
{
    char text[FIREWALL_NAMES_ROOM];
    const struct firewall_name *name =
        firewall_peek(reader) ? firewall_name_find(names, firewall_peek(reader)->text) : NULL;
    if (!name)
        return firewall_wrong(reader, firewall_names_text(names, what, text));
    *value = name->value;
    reader->at++;
    return PIGCTL_DONE;
}

/* A name, or a number up to 255. */
bool firewall_number(const char *text, const struct firewall_name *names, uint64_t *number)
{
    const struct firewall_name *name = firewall_name_find(names, text);
    if (name)
        *number = name->value;
    return name || parse_number(text, UINT8_MAX, number);
}

/* "new,established" as bits. */
int firewall_mask_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, uint8_t *mask)
{
    char text[FIREWALL_NAMES_ROOM];
    struct firewall_piece piece;
    if (!firewall_piece(reader, &piece, ","))
        return firewall_wrong(reader, firewall_names_text(names, what, text));
    do {
        const struct firewall_name *name = firewall_name_find(names, piece.text);
        if (!name)
            return firewall_piece_wrong(&piece, firewall_names_text(names, what, text));
        *mask |= (uint8_t)name->value;
    } while (firewall_piece_next(&piece, ","));
    reader->at++;
    return PIGCTL_DONE;
}

/* ---- lists ------------------------------------------------------------------------------------------- */

static const char port_expected[] = "a port or a range, such as 80 or 1024-65535";
static const char prefix_expected[] = "an address, a prefix such as 10.0.0.0/24, or port";
static const char protocol_expected[] = "a protocol's name, such as tcp, or its number";

static int port_item(const struct firewall_piece *piece, struct line_item *item)
{
    char text[FIREWALL_PIECE_ROOM];
    uint64_t first, last;
    memcpy(text, piece->text, sizeof text);
    char *dash = strchr(text, '-');
    if (dash)
        *dash = 0;
    if (!parse_number(text, UINT16_MAX, &first))
        return firewall_piece_wrong(piece, port_expected);
    last = first;
    if ((dash && !parse_number(dash + 1, UINT16_MAX, &last)) || last < first)
        return firewall_piece_wrong(piece, port_expected);
    *item = (struct line_item){(uint32_t)first, (uint32_t)last};
    return PIGCTL_DONE;
}

static int prefix_item(const struct firewall_piece *piece, struct line_item *item)
{
    char network[FIREWALL_PIECE_ROOM];
    uint64_t prefix;
    uint32_t address;
    if (parse_address(piece->text, &address)) {
        *item = (struct line_item){address, 32};
        return PIGCTL_DONE;
    }
    if (!parse_prefix(piece->text, &prefix))
        return firewall_piece_wrong(piece, prefix_expected);
    *item = (struct line_item){(uint32_t)(prefix >> 8), prefix & 0xff};
    uint32_t mask = mask_of(item->last);
    if (!(item->first & ~mask))
        return PIGCTL_DONE;
    piglet_address_text(item->first & mask, network, sizeof network);
    return complain_at(piece->place, PIGCTL_USAGE,
                       "firewall: \"%s\" has bits behind its length; expected %s/%u", piece->text,
                       network, item->last);
}

static int protocol_item(const struct firewall_piece *piece, struct line_item *item)
{
    uint64_t number;
    if (!firewall_number(piece->text, protocols, &number))
        return firewall_piece_wrong(piece, protocol_expected);
    *item = (struct line_item){(uint32_t)number, 1};
    return PIGCTL_DONE;
}

static const struct list_kind {
    int (*read)(const struct firewall_piece *piece, struct line_item *item);
    const char *expected;
} list_kinds[LINE_LISTS] = {
    [LINE_PROTOCOL] = {protocol_item, protocol_expected},
    [LINE_SOURCE] = {prefix_item, prefix_expected},
    [LINE_DESTINATION] = {prefix_item, prefix_expected},
    [LINE_SOURCE_PORT] = {port_item, port_expected},
    [LINE_DESTINATION_PORT] = {port_item, port_expected},
};

int firewall_list_read(struct firewall_reader *reader, enum line_part part)
{
    const struct list_kind *kind = &list_kinds[part];
    struct line_list *list = &reader->line->list[part];
    struct firewall_piece piece;
    if (!firewall_piece(reader, &piece, ","))
        return firewall_wrong(reader, kind->expected);
    reader->line->said[part] = piece.place;
    list->count = 0;
    do {
        if (list->count == LINE_ITEMS_MAX)
            return complain_at(piece.place, PIGCTL_USAGE,
                               "firewall: a list may have %d items; expected another line for the "
                               "rest",
                               LINE_ITEMS_MAX);
        int code = kind->read(&piece, &list->item[list->count++]);
        if (code != PIGCTL_DONE)
            return code;
    } while (firewall_piece_next(&piece, ","));
    reader->at++;
    return PIGCTL_DONE;
}

bool firewall_protocol_begins(const struct firewall_reader *reader)
{
    struct firewall_piece piece;
    return firewall_piece(reader, &piece, ",") && firewall_name_find(protocols, piece.text);
}

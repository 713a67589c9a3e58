/* Reading lines: words become changes. A line has several parts where it likes; a noun or a verb
 * stays in force until the next one: `addresses delete A add B routes add P via G` has three. */
#include "tools/pigctl/language.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A line while it is being read. */
struct reader {
    const struct words *line;
    unsigned at; /* the next word */
    const char *noun, *verb;
    struct changes *changes;
    unsigned before; /* changes of earlier lines */
};

/* ---- changes -------------------------------------------------------------------------------------- */

struct change *changes_add(struct changes *changes)
{
    if (changes->count == changes->room) {
        changes->room = changes->room ? 2 * changes->room : 64;
        changes->change = realloc(changes->change, changes->room * sizeof *changes->change);
        if (!changes->change)
            exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
    }
    struct change *change = &changes->change[changes->count++];
    memset(change, 0, sizeof *change);
    return change;
}

void changes_free(struct changes *changes)
{
    for (unsigned i = 0; i < changes->count; i++)
        free(changes->change[i].table);
    free(changes->change);
    memset(changes, 0, sizeof *changes);
}

/* ---- numbers and addresses ------------------------------------------------------------------------ */

bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
    *number = 0;
    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text))
            return false;
        *number = *number * 10 + (uint64_t)(*text - '0');
    }
    return *number <= max;
}

bool parse_address(const char *text, uint32_t *address)
{
    *address = 0;
    for (unsigned part = 0; part < 4; part++) {
        char digits[4] = "";
        uint64_t number;
        size_t length = strspn(text, "0123456789");
        if (length > 3 || text[length] != (part < 3 ? '.' : 0))
            return false;
        memcpy(digits, text, length);
        if (!parse_number(digits, 255, &number))
            return false;
        *address = *address << 8 | (uint32_t)number;
        text += length + 1;
    }
    return true;
}

bool parse_prefix(const char *text, uint64_t *prefix)
{
    char address[16] = "";
    uint32_t number;
    uint64_t length;
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof address)
        return false;
    memcpy(address, text, (size_t)(slash - text));
    if (!parse_address(address, &number) || !parse_number(slash + 1, 32, &length))
        return false;
    *prefix = (uint64_t)number << 8 | length;
    return true;
}

static bool parse_nic(const char *text, uint64_t *nic)
{
    return strncmp(text, "nic", 3) == 0 && parse_number(text + 3, 255, nic);
}

/* ---- words ------------------------------------------------------------------------------------------ */

static const char *next(const struct reader *reader)
{
    return reader->at < reader->line->count ? reader->line->word[reader->at].text : NULL;
}

static struct place next_place(const struct reader *reader)
{
    return reader->at < reader->line->count ? reader->line->word[reader->at].place
                                            : reader->line->end;
}

/* Whether the next word is this one; then it is taken. */
static bool take_if(struct reader *reader, const char *word)
{
    if (!next(reader) || strcmp(next(reader), word) != 0)
        return false;
    reader->at++;
    return true;
}

/* The next word, or the part of it from `skip` on, is not `what`. */
static int wrong(const struct reader *reader, size_t skip, const char *what, const char *example)
{
    const char *word = next(reader);
    struct place place = next_place(reader);
    place.column += (unsigned)skip;
    if (!word)
        return complain_at(place, PIGCTL_USAGE, "%s %s: %s is missing; for instance %s",
                           reader->noun, reader->verb, what, example);
    return complain_at(place, PIGCTL_USAGE, "%s %s: \"%s\" is no %s; for instance %s", reader->noun,
                       reader->verb, word + skip, what, example);
}

static void give(struct change *change, unsigned index, uint64_t value)
{
    change->value[index] = value;
    change->given[index] = true;
}

/* ---- the parts: each returns an exit code --------------------------------------------------------- */

static int address_add(struct reader *reader, struct change *change)
{
    static const char example[] = "10.0.0.2/24@nic0";
    char text[TEXT_ROOM] = "";
    const char *word = next(reader), *at = word ? strchr(word, '@') : NULL;
    uint64_t prefix, nic = 0;
    uint32_t gateway;
    size_t length = at ? (size_t)(at - word) : word ? strlen(word) : 0;
    if (length < sizeof text && word)
        memcpy(text, word, length);
    if (!word || !parse_prefix(text, &prefix))
        return wrong(reader, 0, "address with its length", example);
    if (at && !parse_nic(at + 1, &nic))
        return wrong(reader, length + 1, "nic", example);
    change->opcode = PIGLET_OP_ADDRESS_ADD;
    give(change, 0, prefix);
    give(change, 1, nic);
    reader->at++;
    if (take_if(reader, "gateway")) {
        if (!next(reader) || !parse_address(next(reader), &gateway) || !gateway)
            return wrong(reader, 0, "gateway", "gateway 10.0.0.1");
        give(change, 2, gateway);
        reader->at++;
    }
    return PIGCTL_DONE;
}

static int address_delete(struct reader *reader, struct change *change)
{
    uint32_t address;
    if (!next(reader) || !parse_address(next(reader), &address))
        return wrong(reader, 0, "address", "10.0.0.2");
    change->opcode = PIGLET_OP_ADDRESS_DELETE;
    give(change, 0, address);
    reader->at++;
    return PIGCTL_DONE;
}

static int route_prefix(struct reader *reader, struct change *change, const char *example)
{
    uint64_t prefix;
    if (!next(reader) || !parse_prefix(next(reader), &prefix))
        return wrong(reader, 0, "prefix with its length", example);
    uint32_t ip = (uint32_t)(prefix >> 8);
    uint32_t mask = (uint32_t)(UINT32_MAX * (1ull << 32 >> (prefix & 0xff)));
    if (ip & ~mask) {
        char network[TEXT_ROOM];
        piglet_address_text(ip & mask, network, sizeof network);
        return complain_at(next_place(reader), PIGCTL_USAGE,
                           "%s %s: \"%s\" has bits behind its length; expected %s/%u", reader->noun,
                           reader->verb, next(reader), network, (unsigned)(prefix & 0xff));
    }
    give(change, 0, prefix);
    reader->at++;
    return PIGCTL_DONE;
}

static int route_add(struct reader *reader, struct change *change)
{
    static const char example[] = "192.0.2.0/24 via 10.0.0.1, or 192.0.2.0/24 nic0";
    uint64_t nic;
    uint32_t gateway = 0;
    int code = route_prefix(reader, change, example);
    if (code != PIGCTL_DONE)
        return code;
    if (take_if(reader, "via")) {
        if (!next(reader) || !parse_address(next(reader), &gateway) || !gateway)
            return wrong(reader, 0, "gateway", example);
        reader->at++;
    }
    change->opcode = PIGLET_OP_ROUTE_ADD;
    give(change, 1, gateway);
    if (next(reader) && parse_nic(next(reader), &nic)) {
        give(change, 2, nic);
        reader->at++;
    } else if (!gateway) {
        return wrong(reader, 0, "gateway or nic", example);
    }
    return PIGCTL_DONE;
}

static int route_delete(struct reader *reader, struct change *change)
{
    change->opcode = PIGLET_OP_ROUTE_DELETE;
    return route_prefix(reader, change, "192.0.2.0/24");
}

static int service_part(struct reader *reader, struct change *change, unsigned opcode)
{
    if (!next(reader) || strlen(next(reader)) >= sizeof change->service ||
        strchr(next(reader), '='))
        return wrong(reader, 0, "service", "arp");
    change->opcode = opcode;
    snprintf(change->service, sizeof change->service, "%s", next(reader));
    reader->at++;
    return PIGCTL_DONE;
}

static int service_start(struct reader *reader, struct change *change)
{
    return service_part(reader, change, PIGLET_OP_SERVICE_START);
}

static int service_stop(struct reader *reader, struct change *change)
{
    return service_part(reader, change, PIGLET_OP_SERVICE_STOP);
}

/* The name may be left out for further settings of the same service. */
static int service_set(struct reader *reader, struct change *change)
{
    static const char example[] = "services set arp lifetime=30";
    const struct change *last = reader->changes->count > reader->before + 1 ? change - 1 : NULL;
    const char *word = next(reader);
    if (word && strchr(word, '=') && last && last->opcode == PIGLET_OP_SERVICE_CONFIGURE) {
        change->opcode = PIGLET_OP_SERVICE_CONFIGURE;
        memcpy(change->service, last->service, sizeof change->service);
    } else {
        int code = service_part(reader, change, PIGLET_OP_SERVICE_CONFIGURE);
        if (code != PIGCTL_DONE)
            return code;
        word = next(reader);
    }
    if (!word || !strchr(word, '=') || *word == '=' || strlen(word) > SETTING_MAX)
        return wrong(reader, 0, "setting", example);
    snprintf(change->setting, sizeof change->setting, "%s", word);
    reader->at++;
    return PIGCTL_DONE;
}

static const struct verb {
    const char *noun, *name;
    int (*parse)(struct reader *reader, struct change *change);
} verbs[] = {
    {"addresses", "add", address_add},    {"addresses", "delete", address_delete},
    {"routes", "add", route_add},         {"routes", "delete", route_delete},
    {"services", "start", service_start}, {"services", "stop", service_stop},
    {"services", "set", service_set},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static const struct verb *verb_find(const char *noun, const char *name)
{
    for (size_t i = 0; noun && i < VERBS; i++)
        if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static const char *noun_find(const char *word)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].noun, word) == 0)
            return verbs[i].noun;
    return NULL;
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

const char *nouns_expected(void)
{
    static char text[160];
    size_t used = 0;
    for (size_t i = 0; i < VERBS; i++)
        if (i == 0 || verbs[i].noun != verbs[i - 1].noun)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                     verbs[i].noun);
    for (const struct block *block = blocks; block->noun; block++)
        used += (size_t)snprintf(text + used, sizeof text - used, ", %s {", block->noun);
    return text;
}

static int verb_wrong(const struct reader *reader)
{
    char list[80] = "";
    size_t used = 0;
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].noun, reader->noun) == 0)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     verbs[i].name);
    return complain_at(next_place(reader), PIGCTL_USAGE,
                       "%s: \"%s\" is no verb of it, which are %s; see `pigctl help %s`",
                       reader->noun, next(reader) ? next(reader) : "", list, reader->noun);
}

/* Takes what names the next part: a noun, a verb, both or none. */
static int part_named(struct reader *reader, const struct verb **verb)
{
    const char *noun = next(reader) ? noun_find(next(reader)) : NULL;
    if (noun) {
        reader->noun = noun;
        reader->at++;
        *verb = NULL;
    }
    if (!reader->noun)
        return complain_at(next_place(reader), PIGCTL_USAGE,
                           "\"%s\" is not understood; expected %s", next(reader), nouns_expected());
    if (next(reader) && verb_find(reader->noun, next(reader))) {
        *verb = verb_find(reader->noun, next(reader));
        reader->at++;
    }
    if (!*verb)
        return verb_wrong(reader);
    reader->verb = (*verb)->name;
    return PIGCTL_DONE;
}

int line_read(const struct words *line, const char *noun, struct changes *changes)
{
    struct reader reader = {
        .line = line, .noun = noun, .changes = changes, .before = changes->count};
    const struct verb *verb = NULL;
    while (next(&reader)) {
        int code = part_named(&reader, &verb);
        if (code != PIGCTL_DONE)
            return code;
        struct change *change = changes_add(changes);
        change->place = next_place(&reader);
        code = verb->parse(&reader, change);
        if (code != PIGCTL_DONE) {
            changes->count--;
            return code;
        }
        change_say(change);
    }
    return PIGCTL_DONE;
}

/* ---- and back ------------------------------------------------------------------------------------------- */

static const char *prefix_say(char *text, size_t room, uint64_t prefix)
{
    piglet_address_text((uint32_t)(prefix >> 8), text, room);
    size_t used = strlen(text);
    snprintf(text + used, room - used, "/%u", (unsigned)(prefix & 0xff));
    return text;
}

void change_say(struct change *change)
{
    char prefix[TEXT_ROOM], address[TEXT_ROOM], nic[TEXT_ROOM] = "";
    size_t room = sizeof change->text;
    switch (change->opcode) {
    case PIGLET_OP_ADDRESS_ADD:
        piglet_address_text((uint32_t)change->value[2], address, sizeof address);
        snprintf(change->text, room, "addresses add %s@nic%" PRIu64 "%s%s",
                 prefix_say(prefix, sizeof prefix, change->value[0]), change->value[1],
                 change->given[2] ? " gateway " : "", change->given[2] ? address : "");
        break;
    case PIGLET_OP_ADDRESS_DELETE:
        piglet_address_text((uint32_t)change->value[0], address, sizeof address);
        snprintf(change->text, room, "addresses delete %s", address);
        break;
    case PIGLET_OP_ROUTE_ADD:
        piglet_address_text((uint32_t)change->value[1], address, sizeof address);
        if (change->given[2])
            snprintf(nic, sizeof nic, " nic%" PRIu64, change->value[2]);
        snprintf(change->text, room, "routes add %s%s%s%s",
                 prefix_say(prefix, sizeof prefix, change->value[0]),
                 change->value[1] ? " via " : "", change->value[1] ? address : "", nic);
        break;
    case PIGLET_OP_ROUTE_DELETE:
        snprintf(change->text, room, "routes delete %s",
                 prefix_say(prefix, sizeof prefix, change->value[0]));
        break;
    case PIGLET_OP_SERVICE_CONFIGURE:
        snprintf(change->text, room, "services set %s %s", change->service, change->setting);
        break;
    case PIGLET_OP_SERVICE_SWAP:
        snprintf(change->text, room, "%s {...}", change->service);
        break;
    default:
        snprintf(change->text, room, "services %s %s",
                 change->opcode == PIGLET_OP_SERVICE_START ? "start" : "stop", change->service);
        break;
    }
}

/* Changes: a line of them is one ATOMIC chain. `addresses delete A add B routes add P via G` has
 * three parts; a noun or a verb stays in force until the next one. */
#include "tools/pigctl/pigctl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTING_MAX = 96, /* of Service_Configure */
    WAIT_US = 5000000,
    PART_TEXT = 128,
};

/* One change, as a request. */
struct part {
    unsigned opcode;
    uint64_t value[3];
    bool given[3];
    const char *setting;  /* of Service_Configure */
    char text[PART_TEXT]; /* as it was typed, for whoever must be told that it failed */
};

/* A line while it is being read. */
struct line {
    struct session *session;
    char **word; /* the next one; NULL behind the last */
    const char *noun, *verb;
    struct piglet_service_entry *services;
    int service_count; /* -1: not loaded */
    struct part part[PIGLET_CHAIN_MAX];
    unsigned parts;
};

/* ---- parsing --------------------------------------------------------------------------------- */

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

/* "10.0.0.0/8" as address << 8 | length. */
static bool parse_prefix(const char *text, uint64_t *prefix)
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

/* ---- services by name -------------------------------------------------------------------------- */

static const struct piglet_service_entry *service_named(const struct piglet_service_entry *services,
                                                        int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strncmp(services[i].name, name, sizeof services[i].name) == 0)
            return &services[i];
    complain(PIGCTL_REFUSED, "no service \"%s\"; see `pigctl services`", name);
    return NULL;
}

static int services_load(struct session *session, struct piglet_service_entry **list)
{
    void *entries = NULL;
    int count = piglet_load_table(session->piglet, PIGLET_OP_SERVICE_LIST, 0, &entries);
    *list = entries;
    if (count < 0)
        complain_error("asking for the services", count);
    return count;
}

const struct piglet_service_entry *service_find(struct session *session, const char *name,
                                                struct piglet_service_entry **list)
{
    int count = services_load(session, list);
    return count < 0 ? NULL : service_named(*list, count, name);
}

/* ---- the parts: each returns an exit code --------------------------------------------------------- */

static const char *take(struct line *line)
{
    return *line->word ? *line->word++ : NULL;
}

/* Whether the next word is this one; then it is taken. */
static bool take_if(struct line *line, const char *word)
{
    if (!*line->word || strcmp(*line->word, word) != 0)
        return false;
    line->word++;
    return true;
}

static int wrong(struct line *line, const char *what, const char *word, const char *example)
{
    if (!word)
        return complain(PIGCTL_USAGE, "%s %s: %s is missing; for instance %s", line->noun,
                        line->verb, what, example);
    return complain(PIGCTL_USAGE, "%s %s: \"%s\" is no %s; for instance %s", line->noun, line->verb,
                    word, what, example);
}

static void give(struct part *part, unsigned index, uint64_t value)
{
    part->value[index] = value;
    part->given[index] = true;
}

static int address_add(struct line *line, struct part *part)
{
    char text[TEXT_ROOM] = "";
    const char *word = take(line), *at = word ? strchr(word, '@') : NULL;
    uint64_t prefix, nic = 0;
    uint32_t gateway;
    size_t length = at ? (size_t)(at - word) : word ? strlen(word) : 0;
    if (length < sizeof text && word)
        memcpy(text, word, length);
    if (!word || !parse_prefix(text, &prefix))
        return wrong(line, "address with its length", word, "10.0.0.2/24@nic0");
    if (at && !parse_nic(at + 1, &nic))
        return wrong(line, "nic", at + 1, "10.0.0.2/24@nic0");
    part->opcode = PIGLET_OP_ADDRESS_ADD;
    give(part, 0, prefix);
    give(part, 1, nic);
    if (take_if(line, "gateway")) {
        word = take(line);
        if (!word || !parse_address(word, &gateway))
            return wrong(line, "gateway", word, "gateway 10.0.0.1");
        give(part, 2, gateway);
    }
    return PIGCTL_DONE;
}

static int address_delete(struct line *line, struct part *part)
{
    uint32_t address;
    const char *word = take(line);
    if (!word || !parse_address(word, &address))
        return wrong(line, "address", word, "10.0.0.2");
    part->opcode = PIGLET_OP_ADDRESS_DELETE;
    give(part, 0, address);
    return PIGCTL_DONE;
}

static int route_add(struct line *line, struct part *part)
{
    static const char example[] = "192.0.2.0/24 via 10.0.0.1, or 192.0.2.0/24 nic0";
    const char *word = take(line);
    uint64_t prefix, nic;
    uint32_t gateway = 0;
    if (!word || !parse_prefix(word, &prefix))
        return wrong(line, "prefix with its length", word, example);
    if (take_if(line, "via")) {
        word = take(line);
        if (!word || !parse_address(word, &gateway) || !gateway)
            return wrong(line, "gateway", word, example);
    }
    part->opcode = PIGLET_OP_ROUTE_ADD;
    give(part, 0, prefix);
    give(part, 1, gateway);
    if (*line->word && parse_nic(*line->word, &nic)) {
        give(part, 2, nic);
        line->word++;
    } else if (!gateway) {
        return wrong(line, "gateway or nic", *line->word, example);
    }
    return PIGCTL_DONE;
}

static int route_delete(struct line *line, struct part *part)
{
    const char *word = take(line);
    uint64_t prefix;
    if (!word || !parse_prefix(word, &prefix))
        return wrong(line, "prefix with its length", word, "192.0.2.0/24");
    part->opcode = PIGLET_OP_ROUTE_DELETE;
    give(part, 0, prefix);
    return PIGCTL_DONE;
}

static int service_part(struct line *line, struct part *part, unsigned opcode, const char *name)
{
    if (!name)
        return wrong(line, "service", NULL, "arp");
    if (line->service_count < 0)
        line->service_count = services_load(line->session, &line->services);
    if (line->service_count < 0)
        return PIGCTL_REFUSED;
    const struct piglet_service_entry *service =
        service_named(line->services, line->service_count, name);
    if (!service)
        return PIGCTL_REFUSED;
    part->opcode = opcode;
    give(part, 0, service->number);
    return PIGCTL_DONE;
}

static int service_start(struct line *line, struct part *part)
{
    return service_part(line, part, PIGLET_OP_SERVICE_START, take(line));
}

static int service_stop(struct line *line, struct part *part)
{
    return service_part(line, part, PIGLET_OP_SERVICE_STOP, take(line));
}

/* The name may be left out for further settings of the same service. */
static int service_set(struct line *line, struct part *part)
{
    const struct part *last = line->parts ? part - 1 : NULL;
    const char *word = take(line);
    if (word && strchr(word, '=') && last && last->setting) {
        part->opcode = PIGLET_OP_SERVICE_CONFIGURE;
        give(part, 0, last->value[0]);
    } else {
        int code = service_part(line, part, PIGLET_OP_SERVICE_CONFIGURE, word);
        if (code != PIGCTL_DONE)
            return code;
        word = take(line);
    }
    if (!word || !strchr(word, '=') || strlen(word) > SETTING_MAX)
        return wrong(line, "setting", word, "services set arp lifetime=30");
    part->setting = word;
    return PIGCTL_DONE;
}

static const struct verb {
    const char *noun, *name;
    int (*parse)(struct line *line, struct part *part);
} verbs[] = {
    {"addresses", "add", address_add},    {"addresses", "delete", address_delete},
    {"routes", "add", route_add},         {"routes", "delete", route_delete},
    {"services", "start", service_start}, {"services", "stop", service_stop},
    {"services", "set", service_set},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static const struct verb *verb_find(const char *noun, const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool is_noun(const char *word)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].noun, word) == 0)
            return true;
    return false;
}

/* The part as it was typed. */
static void part_say(struct line *line, struct part *part, char **from)
{
    size_t used = (size_t)snprintf(part->text, sizeof part->text, "%s %s", line->noun, line->verb);
    for (; from < line->word && used < sizeof part->text; from++)
        used += (size_t)snprintf(part->text + used, sizeof part->text - used, " %s", *from);
}

static int line_read(struct line *line)
{
    const struct verb *verb = NULL;
    while (*line->word) {
        if (is_noun(*line->word)) {
            line->noun = *line->word++;
            verb = NULL;
        }
        if (*line->word && verb_find(line->noun, *line->word)) {
            verb = verb_find(line->noun, *line->word++);
            line->verb = verb->name;
        }
        if (!verb)
            return complain(PIGCTL_USAGE, "%s: \"%s\" is no verb of it; see `pigctl help %s`",
                            line->noun, *line->word ? *line->word : "", line->noun);
        if (line->parts == PIGLET_CHAIN_MAX)
            return complain(PIGCTL_USAGE, "more than %d changes; use several lines",
                            PIGLET_CHAIN_MAX);
        struct part *part = &line->part[line->parts];
        char **from = line->word;
        int code = verb->parse(line, part);
        if (code != PIGCTL_DONE)
            return code;
        part_say(line, part, from);
        line->parts++;
    }
    return PIGCTL_DONE;
}

/* ---- the chain ----------------------------------------------------------------------------------- */

/* Room in the window for the settings' text. */
static int settings_place(struct line *line, uint64_t *offset)
{
    uint64_t result, pages = (PIGLET_CHAIN_MAX * SETTING_MAX + PIGLET_PAGE - 1) / PIGLET_PAGE;
    int error = piglet_call(line->session->piglet, PIGLET_OP_ALLOC_MEM, piglet_new(),
                            piglet_number(pages), piglet_none(), piglet_none(), &result);
    *offset = error ? 0 : piglet_result_offset(result);
    return error;
}

static void part_add(struct piglet_chain *chain, const struct part *part, uint64_t offset)
{
    struct piglet_argument argument[3];
    for (unsigned i = 0; i < 3; i++)
        argument[i] = part->given[i] ? piglet_number(part->value[i]) : piglet_none();
    if (part->setting) {
        size_t bytes = strlen(part->setting);
        char *memory = piglet_memory(chain->piglet, offset, SETTING_MAX);
        if (memory)
            memcpy(memory, part->setting, bytes);
        argument[1] = piglet_offset(offset);
        argument[2] = piglet_number(bytes);
    }
    piglet_chain_add(chain, part->opcode, piglet_chain_system(chain), argument[0], argument[1],
                     argument[2]);
}

/* Which part it was, and where to see what would have been right. */
static int line_failed(struct line *line, unsigned root, int error)
{
    if (error == ERR_TIMEOUT)
        return complain(PIGCTL_REFUSED, "Piglet has not answered, and may change it yet; see "
                                        "`pigctl doctor`");
    const struct part *part = root && root <= line->parts ? &line->part[root - 1] : NULL;
    const char *text = part ? part->text : "the chain";
    if (part && (error == ERR_NOT_FOUND || error == ERR_RANGE || error == ERR_INVALID))
        return complain(PIGCTL_REFUSED, "nothing was changed: %s: %s; see `pigctl %.*s`", text,
                        piglet_error_text(error), (int)strcspn(text, " "), text);
    return complain(PIGCTL_REFUSED, "nothing was changed: %s: %s; %s", text,
                    piglet_error_text(error), error_cure(error));
}

static int line_post(struct line *line)
{
    struct piglet *piglet = line->session->piglet;
    struct piglet_chain chain;
    struct piglet_event event = {.root = 0};
    uint64_t offset = 0;
    int error = 0;
    for (unsigned i = 0; i < line->parts && !error && !offset; i++)
        if (line->part[i].setting)
            error = settings_place(line, &offset);
    if (error)
        return complain_error("nothing was changed: memory for the settings", error);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    for (unsigned i = 0; i < line->parts; i++)
        part_add(&chain, &line->part[i], offset ? offset + i * SETTING_MAX : 0);
    error = piglet_wait(piglet, piglet_post(&chain), WAIT_US, &event);
    if (error == 0)
        return PIGCTL_DONE;
    return line_failed(line, event.root, error);
}

int change(struct session *session, int count, char **words)
{
    struct line line = {
        .session = session, .word = words, .noun = session->noun, .service_count = -1};
    (void)count;
    int code = line_read(&line);
    if (code == PIGCTL_DONE)
        code = line_post(&line);
    if (code == PIGCTL_DONE && session->json)
        printf("{\"changes\": %u}\n", line.parts);
    free(line.services);
    return code;
}

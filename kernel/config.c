/* The kernel command line. */
#include "kernel/config.h"

#include <stdio.h>
#include <string.h>

#include "kernel/chain.h"
#include "piglet/window.h"

#define NS_PER_SECOND 1000000000ull

/* One word while it is being read. */
struct word {
    struct core *core;
    char text[CONFIG_WORD_MAX]; /* the whole word, cut to its room */
    char *value;                /* inside text, behind the '=' */
    unsigned column;            /* in the line, from 1 */
    bool cut;
    bool quiet; /* enough was said about this line */
};

struct word_kind {
    const char *name;     /* with its '=' */
    const char *expected; /* what a good one looks like, for whoever wrote a bad one */
    bool early;           /* read before there are devices */
    int (*apply)(struct word *word);
    const char *missing; /* what to say on ERR_NOT_FOUND */
};

static void word_say(struct word *word, const char *what, const char *expected)
{
    if (word->quiet)
        return;
    log_write(&word->core->log, LOG_ERROR, "config", "column %u: \"%.64s\"%s: %s%s%s", word->column,
              word->text, strlen(word->text) > 64 ? "..." : "", what, expected ? ", expected " : "",
              expected ? expected : "");
}

/* ---- parsers ------------------------------------------------------------------------------- */

int config_parse_ip(const char *text, uint32_t *ip)
{
    uint32_t value = 0;
    for (unsigned part = 0; part < 4; part++) {
        unsigned number = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
            number = number * 10 + (unsigned)(*text - '0');
        if (digits == 0 || digits > 3 || number > 255 || *text != (part < 3 ? '.' : 0))
            return ERR_INVALID;
        value = value << 8 | number;
        text++;
    }
    *ip = value;
    return 0;
}

int config_parse_prefix(const char *text, uint32_t *ip, uint8_t *length)
{
    char address[16];
    const char *slash = strchr(text, '/');
    uint64_t bits;
    if (!slash || (size_t)(slash - text) >= sizeof address)
        return ERR_INVALID;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = 0;
    if (config_parse_ip(address, ip) < 0 || service_number(slash + 1, 0, 32, &bits) < 0)
        return ERR_INVALID;
    *length = (uint8_t)bits;
    return 0;
}

/* "nic0" to an index. ERR_INVALID: not such a name. ERR_NOT_FOUND: no such nic here. */
static int config_parse_nic(const struct core *core, const char *text, uint8_t *nic)
{
    uint64_t index;
    if (strncmp(text, "nic", 3) != 0 || service_number(text + 3, 0, 999, &index) < 0)
        return ERR_INVALID;
    if (index >= core->nic_count || !nic_present(&core->nic[index]))
        return ERR_NOT_FOUND;
    *nic = (uint8_t)index;
    return 0;
}

/* Cuts "@nicN" off the end; without one, *nic stays. */
static int config_cut_nic(const struct core *core, char *text, uint8_t *nic)
{
    char *at = strchr(text, '@');
    if (!at)
        return config_parse_nic(core, "nic0", nic);
    *at = 0;
    return config_parse_nic(core, at + 1, nic);
}

/* The next of several fields; *rest moves behind it, and is NULL after the last. */
static char *config_field(char **rest, char separator)
{
    char *field = *rest;
    if (!field)
        return NULL;
    char *end = strchr(field, separator);
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    return field;
}

/* ---- ip= ------------------------------------------------------------------------------------ */

/* Before there were prefix lengths (RFC 791 3.2), and what Linux takes for an absent mask. */
static uint8_t config_class_length(uint32_t ip)
{
    return ip >> 31 == 0 ? 8 : ip >> 30 == 2 ? 16 : 24;
}

static int config_mask_length(uint32_t mask, uint8_t *length)
{
    uint8_t bits = (uint8_t)__builtin_popcount(mask);
    if (mask != (bits ? ~0u << (32 - bits) : 0))
        return ERR_INVALID;
    *length = bits;
    return 0;
}

/* client:server:gateway:netmask:host:device:autoconf, those behind client optional. */
static int config_ip_linux(struct word *word, uint32_t *ip, uint8_t *length, uint32_t *gateway,
                           uint8_t *nic, bool *lease)
{
    char *rest = word->value;
    char *field[7];
    for (unsigned i = 0; i < 7; i++)
        field[i] = config_field(&rest, ':');
    uint32_t ignored, mask;
    const char *device = field[5] && *field[5] ? field[5] : "nic0";
    *lease = !rest && field[6] && strcmp(field[6], "dhcp") == 0;
    if (*lease && (*field[0] || *field[1] || *field[2] || *field[3]))
        return ERR_UNSUPPORTED; /* a lease says all of that */
    if (*lease)
        return config_parse_nic(word->core, device, nic);
    if (rest || config_parse_ip(field[0], ip) < 0)
        return ERR_INVALID;
    if (field[1] && *field[1] && config_parse_ip(field[1], &ignored) < 0)
        return ERR_INVALID;
    if (field[2] && *field[2] && config_parse_ip(field[2], gateway) < 0)
        return ERR_INVALID;
    *length = config_class_length(*ip);
    if (field[3] && *field[3] &&
        (config_parse_ip(field[3], &mask) < 0 || config_mask_length(mask, length) < 0))
        return ERR_INVALID;
    if (field[6] && *field[6] && strcmp(field[6], "off") != 0 && strcmp(field[6], "none") != 0 &&
        strcmp(field[6], "static") != 0)
        return ERR_UNSUPPORTED;
    return config_parse_nic(word->core, device, nic);
}

/* The nic's address will be leased by the dhcp service. */
static int config_dhcp(struct word *word, uint8_t nic)
{
    struct service_self *dhcp = chain_find(word->core, "dhcp");
    char key[8];
    if (!dhcp)
        return ERR_UNSUPPORTED;
    snprintf(key, sizeof key, "nic%u", nic);
    dhcp->wanted = true;
    return chain_setting_set(dhcp, key, "on");
}

static int config_ip(struct word *word)
{
    uint32_t ip = 0, gateway = 0;
    uint8_t length = 0, nic = 0;
    bool lease = strcmp(word->value, "dhcp") == 0 || strncmp(word->value, "dhcp@", 5) == 0;
    int error;
    if (lease) {
        error = config_cut_nic(word->core, word->value, &nic);
    } else if (strchr(word->value, '/')) {
        error = config_cut_nic(word->core, word->value, &nic);
        if (error == 0)
            error = config_parse_prefix(word->value, &ip, &length);
    } else {
        error = config_ip_linux(word, &ip, &length, &gateway, &nic, &lease);
    }
    if (error < 0)
        return error;
    if (lease)
        return config_dhcp(word, nic);
    error = address_add(&word->core->routes, nic, ip, length, gateway);
    if (error == 0)
        chain_notice(word->core, SERVICE_ADDRESS_ADDED, ip);
    return error == ERR_INVALID ? ERR_RANGE : error;
}

/* ---- the other words --------------------------------------------------------------------------
 */

static int config_route(struct word *word)
{
    struct core *core = word->core;
    uint8_t named = UINT8_MAX;
    if (strchr(word->value, '@')) {
        int error = config_cut_nic(core, word->value, &named);
        if (error < 0)
            return error;
    }
    char *gateway = word->value;
    char *prefix = config_field(&gateway, ':');
    struct route route = {.type = ROUTE_UNICAST};
    if (!gateway || config_parse_prefix(prefix, &route.prefix, &route.length) < 0 ||
        config_parse_ip(gateway, &route.gateway) < 0)
        return ERR_INVALID;
    const struct route *link = &core->routes.route[route_lookup(&core->routes, route.gateway)];
    if (link->type != ROUTE_UNICAST || link->gateway || (named != UINT8_MAX && named != link->nic))
        return ERR_RANGE;
    route.nic = link->nic;
    return route_add(&core->routes, &route);
}

static int config_services(struct word *word)
{
    int first_error = 0;
    char *rest = word->value;
    for (char *name; (name = config_field(&rest, ','));) {
        struct service_self *self = NULL;
        if (*name == '+' || *name == '-')
            self = chain_find(word->core, name + 1);
        if (self)
            self->wanted = *name == '+';
        else if (!first_error)
            first_error = *name == '+' || *name == '-' ? ERR_NOT_FOUND : ERR_INVALID;
    }
    return first_error;
}

static int config_log(struct word *word)
{
    for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++)
        if (strcmp(word->value, log_level_name[i]) == 0) {
            word->core->log.level = (enum log_level)i;
            return 0;
        }
    return ERR_INVALID;
}

static int config_console(struct word *word)
{
    return arch_console_select(word->value);
}

static int config_idle(struct word *word)
{
    static const char *const name[] = {"adaptive", "poll", "halt"};
    for (unsigned i = 0; i < sizeof name / sizeof name[0]; i++)
        if (strcmp(word->value, name[i]) == 0) {
            word->core->idle_mode = (enum idle_mode)i;
            return 0;
        }
    return ERR_INVALID;
}

static int config_seconds(struct word *word, uint64_t *every_ns)
{
    uint64_t seconds;
    int error = service_number(word->value, 0, 86400, &seconds);
    if (error == 0)
        *every_ns = seconds * NS_PER_SECOND;
    return error;
}

static int config_status(struct word *word)
{
    return config_seconds(word, &word->core->report.status_every_ns);
}

static int config_dump(struct word *word)
{
    return config_seconds(word, &word->core->report.dump_every_ns);
}

static int config_clients(struct word *word)
{
    uint64_t limit;
    int error = service_number(word->value, 1, PIGLET_CLIENTS_MAX, &limit);
    if (error == 0)
        word->core->client_limit = (unsigned)limit;
    return error;
}

static int config_nic_queues(struct word *word)
{
    uint64_t queues;
    int error = service_number(word->value, 1, NIC_QUEUES_MAX, &queues);
    if (error == 0)
        word->core->nic_queues = (unsigned)queues;
    return error;
}

/* "64K", "1M", or bytes. */
static int config_window(struct word *word)
{
    char *end = word->value + strlen(word->value) - 1;
    unsigned shift = 0;
    uint64_t bytes;
    if (end >= word->value && (*end == 'K' || *end == 'M')) {
        shift = *end == 'K' ? 10 : 20;
        *end = 0;
    }
    int error = service_number(word->value, 1, PIGLET_WINDOW_BYTES_MAX, &bytes);
    if (error < 0)
        return error;
    bytes <<= shift;
    if (bytes < PIGLET_WINDOW_BYTES_MIN || bytes > PIGLET_WINDOW_BYTES_MAX || bytes % PIGLET_PAGE)
        return ERR_RANGE;
    word->core->window_bytes = bytes;
    return 0;
}

static int config_window_rights(struct word *word)
{
    static const struct {
        const char *name;
        unsigned rights;
    } row[] = {{"none", 0},
               {"all", PIGLET_RIGHT_ALL},
               {"copy", PIGLET_RIGHT_COPY},
               {"bind", PIGLET_RIGHT_BIND},
               {"read", PIGLET_RIGHT_READ},
               {"config", PIGLET_RIGHT_CONFIG},
               {"join", PIGLET_RIGHT_JOIN}};
    unsigned rights = 0;
    char *rest = word->value;
    for (char *name; (name = config_field(&rest, '+'));) {
        unsigned i = 0;
        while (i < sizeof row / sizeof row[0] && strcmp(row[i].name, name) != 0)
            i++;
        if (i == sizeof row / sizeof row[0])
            return ERR_INVALID;
        rights |= row[i].rights;
    }
    word->core->window_rights = rights;
    return 0;
}

/* What a boot loader says of itself. */
static int config_ignore(struct word *word)
{
    (void)word;
    return 0;
}

static const struct word_kind words[] = {
    {"log=", "error, warning, info or debug", true, config_log, NULL},
    {"console=", "ttyS0, ttyS1 or none (hosted: stdout, stderr or none)", true, config_console,
     NULL},
    {"ip=", "ip=ADDRESS/LENGTH[@nicN], ip=ADDRESS::GATEWAY:MASK::nicN:off or ip=dhcp[@nicN]", false,
     config_ip, "no such nic"},
    {"route=", "route=PREFIX/LENGTH:GATEWAY[@nicN], the gateway on a link", false, config_route,
     "no such nic"},
    {"services=", "services=+NAME,-NAME", false, config_services, "no such service"},
    {"idle=", "adaptive, poll or halt", false, config_idle, NULL},
    {"status=", "seconds, up to 86400", false, config_status, NULL},
    {"dump=", "seconds, up to 86400", false, config_dump, NULL},
    {"nic.queues=", "receive queues of a nic that has several, up to 8", true, config_nic_queues,
     NULL},
    {"clients=", "how many clients there may be, up to 4096", false, config_clients, NULL},
    {"window=", "bytes of a client's window, 64K to 64M", false, config_window, NULL},
    {"window.rights=", "all, none, or some of read+config+join+bind+copy", false,
     config_window_rights, NULL},
    {"BOOT_IMAGE=", "", false, config_ignore, NULL},
};

/* "SERVICE.KEY=VALUE". */
static int config_service_word(struct word *word, const char **expected)
{
    char name[CONFIG_WORD_MAX];
    memcpy(name, word->text, sizeof name);
    char *key = strchr(name, '.'), *value = strchr(name, '=');
    *expected = "a word such as ip=, route=, services=, log=, console=, idle= or SERVICE.KEY=VALUE";
    if (!key || !value || value < key)
        return ERR_NOT_FOUND;
    *key++ = *value++ = 0;
    struct service_self *self = chain_find(word->core, name);
    if (!self)
        return ERR_NOT_FOUND;
    *expected = self->service->help;
    return chain_setting_set(self, key, value);
}

/* Reads one word; 0, or the error that was logged. */
static int config_word(struct word *word, bool early)
{
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].name);
        if (strncmp(word->text, words[i].name, length) != 0)
            continue;
        if (words[i].early != early)
            return 0;
        /* apply cuts its value up; the complaint shows the word as it was */
        struct word whole = *word;
        word->value = word->text + length;
        int error = word->cut ? ERR_RANGE : words[i].apply(word);
        if (error < 0)
            word_say(&whole, error == ERR_NOT_FOUND ? words[i].missing : piglet_error_text(error),
                     words[i].expected);
        return error;
    }
    if (early)
        return 0;
    const char *expected;
    int error = config_service_word(word, &expected);
    if (error < 0)
        word_say(word, error == ERR_NOT_FOUND ? "no such word" : piglet_error_text(error),
                 expected);
    return error;
}

static unsigned config_line(struct core *core, const char *line, bool early)
{
    unsigned refused = 0, at = 0;
    while (at < CONFIG_LINE_MAX && line[at]) {
        if (line[at] == ' ' || line[at] == '\t' || line[at] == '\n') {
            at++;
            continue;
        }
        struct word word = {
            .core = core, .column = at + 1, .quiet = refused >= CONFIG_COMPLAINTS_MAX};
        unsigned length = 0;
        for (; line[at] && line[at] != ' ' && line[at] != '\t' && line[at] != '\n'; at++) {
            if (length < CONFIG_WORD_MAX - 1)
                word.text[length++] = line[at];
            else
                word.cut = true;
        }
        refused += config_word(&word, early) < 0;
    }
    if (line[at] && !early) {
        log_write(&core->log, LOG_ERROR, "config", "column %u: the line is cut here, at %d bytes",
                  at + 1, CONFIG_LINE_MAX);
        refused++;
    }
    if (refused > CONFIG_COMPLAINTS_MAX)
        log_write(&core->log, LOG_ERROR, "config", "%u more words were refused",
                  refused - CONFIG_COMPLAINTS_MAX);
    return refused;
}

void config_early(struct core *core, const char *line)
{
    config_line(core, line, true);
}

unsigned config_apply(struct core *core, const char *line)
{
    return config_line(core, line, false);
}

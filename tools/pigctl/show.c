/* Listings: a table of the kernel's each. */
#define _GNU_SOURCE
#include "tools/pigctl/pigctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOG_LOOK_MS = 200 };

/* What a function that gets a table's entries works with. */
struct listing {
    struct output output;
    const char *prefix; /* of names; or NULL */
    bool all;           /* those that are 0, too */
};

/* Reads a table into the output, a row an entry, and prints it. */
static int list(struct session *session, unsigned opcode, uint64_t first,
                piglet_entry_function *function, struct listing *listing, const char *empty)
{
    output_begin(&listing->output, session->json, OUTPUT_TABLE);
    int error = piglet_read_table(session->piglet, opcode, first, function, listing);
    if (error)
        return complain_error(session->noun, error);
    output_end(&listing->output, empty);
    return PIGCTL_DONE;
}

static void put_nic(struct output *output, uint32_t nic)
{
    char text[TEXT_ROOM];
    snprintf(text, sizeof text, "nic%" PRIu32, nic);
    put_word(output, "nic", text);
}

/* ---- status ---------------------------------------------------------------------------------- */

static uint64_t phase_ns(const struct piglet_status_entry *status, const char *name)
{
    for (unsigned i = 0; i < status->phases && i < PIGLET_PHASES_MAX; i++)
        if (strncmp(status->phase[i].name, name, sizeof status->phase[i].name) == 0)
            return status->phase[i].time_ns;
    return 0;
}

static double part(uint64_t of_ns, uint64_t less_ns)
{
    return of_ns > less_ns ? 100.0 * (double)(of_ns - less_ns) / (double)of_ns : 0;
}

static int status_row(const void *entry, void *context)
{
    const struct piglet_status_entry *status = entry;
    struct output *output = context;
    /* Everything since the start is accounted to phases and services: what is not in these two is work. */
    uint64_t polling_ns = phase_ns(status, "polling"), asleep_ns = phase_ns(status, "idle");
    uint64_t up_ns = status->now_ns;
    output_row(output);
    put_text(output, "version", status->version, sizeof status->version);
    put_text(output, "machine", status->machine, sizeof status->machine);
    put_time(output, "up_ns", status->now_ns);
    put_count(output, "boot", status->boot);
    put_percent(output, "load_percent", part(up_ns, polling_ns + asleep_ns));
    put_percent(output, "processor_percent", part(up_ns, asleep_ns));
    put_count(output, "nics", status->nics);
    put_count(output, "services", status->services);
    put_count(output, "clients", status->clients);
    put_count(output, "frames", status->frames);
    put_count(output, "frames_free", status->frames_free);
    put_count(output, "turns", status->turns);
    put_count(output, "turns_worked", status->turns_worked);
    put_count(output, "sleeps", status->sleeps);
    put_count(output, "drops", status->drops);
    return 0;
}

int show_status(struct session *session, int count, char **words)
{
    struct output output;
    if (count)
        return complain_word(session, words[0]);
    output_begin(&output, session->json, OUTPUT_RECORD);
    int error = piglet_read_table(session->piglet, PIGLET_OP_STATUS_READ, 0, status_row, &output);
    if (error)
        return complain_error(session->noun, error);
    const struct piglet_window *window = piglet_window(session->piglet);
    char abi[TEXT_ROOM];
    snprintf(abi, sizeof abi, "%u.%u", window->abi_major, window->abi_minor);
    put_word(&output, "abi", abi);
    put_word(&output, "where", piglet_where(session->piglet));
    output_end(&output, "");
    return PIGCTL_DONE;
}

/* ---- nics, clients --------------------------------------------------------------------------- */

/* Of what is wider than a screen, people see what matters; programs see all. */
static int nic_row(const void *entry, void *context)
{
    const struct piglet_nic_entry *nic = entry;
    struct output *output = &((struct listing *)context)->output;
    char mac[TEXT_ROOM];
    snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", nic->mac[0], nic->mac[1],
             nic->mac[2], nic->mac[3], nic->mac[4], nic->mac[5]);
    output_row(output);
    put_text(output, "nic", nic->name, sizeof nic->name);
    put_text(output, "driver", nic->driver, sizeof nic->driver);
    put_bool(output, "link", nic->present && nic->link_up, "up", nic->present ? "down" : "gone");
    put_speed(output, "speed_mbps", nic->speed_mbps);
    put_word(output, "mac", mac);
    if (output->json)
        put_count(output, "mtu", nic->mtu);
    put_count(output, "rx_frames", nic->rx_frames);
    put_bytes(output, "rx_bytes", nic->rx_bytes);
    put_count(output, "rx_errors", nic->rx_errors);
    put_count(output, "rx_missed", nic->rx_missed);
    put_count(output, "tx_frames", nic->tx_frames);
    put_bytes(output, "tx_bytes", nic->tx_bytes);
    put_count(output, "tx_errors", nic->tx_errors);
    if (output->json)
        put_text(output, "device", nic->device, sizeof nic->device);
    return 0;
}

int show_nics(struct session *session, int count, char **words)
{
    struct listing listing = {.all = true};
    if (count)
        return complain_word(session, words[0]);
    return list(session, PIGLET_OP_NIC_LIST, 0, nic_row, &listing, "no nics");
}

static int client_row(const void *entry, void *context)
{
    const struct piglet_client_entry *client = entry;
    struct output *output = &((struct listing *)context)->output;
    output_row(output);
    put_count(output, "client", client->client);
    put_text(output, "name", client->name, sizeof client->name);
    put_count(output, "pid", client->pid);
    if (output->json)
        put_count(output, "capabilities", client->capabilities);
    put_count(output, "framesets", client->framesets);
    put_count(output, "pages", client->pages);
    if (output->json)
        put_count(output, "pages_total", client->pages_total);
    put_count(output, "requests", client->requests);
    if (output->json)
        put_count(output, "chains", client->chains);
    put_count(output, "failed", client->failed);
    if (output->json)
        put_count(output, "undone", client->undone);
    if (output->json)
        put_count(output, "events", client->events);
    put_count(output, "lies", client->lies);
    put_count(output, "rx_frames", client->rx_frames);
    put_count(output, "tx_frames", client->tx_frames);
    put_count(output, "dropped", client->dropped);
    put_count(output, "refused", client->refused);
    put_time(output, "time_ns", client->time_ns);
    if (output->json)
        put_bool(output, "waiting", client->waiting, "yes", "no");
    return 0;
}

int show_clients(struct session *session, int count, char **words)
{
    struct listing listing = {.all = true};
    if (count)
        return complain_word(session, words[0]);
    return list(session, PIGLET_OP_CLIENT_LIST, 0, client_row, &listing, "no clients");
}

/* ---- addresses, routes ------------------------------------------------------------------------- */

static const char *name_of(const char *const *names, size_t count, uint32_t number)
{
    return number < count ? names[number] : "unknown";
}

static int address_row(const void *entry, void *context)
{
    static const char *const state[] = {"tentative", "active", "duplicate"};
    const struct piglet_address_entry *address = entry;
    struct output *output = &((struct listing *)context)->output;
    output_row(output);
    put_prefix(output, "address", address->address, address->length);
    put_nic(output, address->nic);
    put_address(output, "gateway", address->gateway);
    put_word(output, "state", name_of(state, sizeof state / sizeof state[0], address->state));
    return 0;
}

int show_addresses(struct session *session, int count, char **words)
{
    struct listing listing = {.all = true};
    if (count)
        return change(session, count, words);
    return list(session, PIGLET_OP_ADDRESS_LIST, 0, address_row, &listing,
                "no addresses; `pigctl addresses add 10.0.0.2/24` gives nic0 one");
}

static int route_row(const void *entry, void *context)
{
    static const char *const type[] = {"unicast",   "unreachable", "local",
                                       "broadcast", "multicast",   "martian"};
    const struct piglet_route_entry *route = entry;
    struct output *output = &((struct listing *)context)->output;
    output_row(output);
    put_prefix(output, "prefix", route->prefix, route->length);
    put_address(output, "gateway", route->gateway);
    if (route->type == 0)
        put_nic(output, route->nic);
    else
        put_none(output, "nic");
    put_word(output, "type", name_of(type, sizeof type / sizeof type[0], route->type));
    return 0;
}

int show_routes(struct session *session, int count, char **words)
{
    struct listing listing = {.all = true};
    if (count)
        return change(session, count, words);
    return list(session, PIGLET_OP_ROUTE_LIST, 0, route_row, &listing, "no routes");
}

/* ---- services ---------------------------------------------------------------------------------- */

static int service_row(const void *entry, void *context)
{
    const struct piglet_service_entry *service = entry;
    struct output *output = &((struct listing *)context)->output;
    output_row(output);
    put_text(output, "service", service->name, sizeof service->name);
    put_bool(output, "running", service->running, "yes", "no");
    uint64_t gone = service->passed + service->dropped;
    put_count(output, "frames", service->frames);
    put_count(output, "passed", service->passed);
    put_count(output, "dropped", service->dropped);
    put_count(output, "consumed", service->frames > gone ? service->frames - gone : 0);
    put_time(output, "time_ns", service->time_ns);
    put_text(output, "settings", service->help, sizeof service->help);
    return 0;
}

static int text_row(const void *entry, void *context)
{
    const struct piglet_text_entry *line = entry;
    struct output *output = &((struct listing *)context)->output;
    if (!line->text[0]) /* it only says where to go on */
        return 0;
    output_row(output);
    put_text(output, "text", line->text, sizeof line->text);
    return 0;
}

/* "10.0.0.1 52:54:00:12:34:56 nic0 reachable 34s" */
static int arp_row(const void *entry, void *context)
{
    static const char *const key[] = {"address", "mac", "nic", "state", "due_in"};
    const struct piglet_text_entry *line = entry;
    struct output *output = &((struct listing *)context)->output;
    const char *at = line->text, *end = at + strnlen(line->text, sizeof line->text);
    if (at == end)
        return 0;
    output_row(output);
    for (size_t i = 0; i < sizeof key / sizeof key[0]; i++) {
        size_t length = (size_t)(end - at);
        const char *blank = memchr(at, ' ', length);
        if (blank)
            length = (size_t)(blank - at);
        put_text(output, key[i], at, length);
        at = blank ? blank + 1 : end;
    }
    return 0;
}

static int show_lines(struct session *session, const char *name, piglet_entry_function *row)
{
    struct listing listing = {.all = true};
    struct piglet_service_entry *services;
    int code = PIGCTL_REFUSED;
    const struct piglet_service_entry *service = service_find(session, name, &services);
    if (service && !service->running)
        code = complain(PIGCTL_REFUSED, "service %s does not run; `pigctl services start %s`", name,
                        name);
    else if (service)
        code = list(session, PIGLET_OP_SERVICE_SHOW, (uint64_t)service->number << 32, row, &listing,
                    "nothing");
    free(services);
    return code;
}

int show_services(struct session *session, int count, char **words)
{
    struct listing listing = {.all = true};
    if (count == 0)
        return list(session, PIGLET_OP_SERVICE_LIST, 0, service_row, &listing, "no services");
    if (strcmp(words[0], "show") != 0)
        return change(session, count, words);
    if (count != 2)
        return complain_word(session, words[1] ? words[2] : NULL);
    return show_lines(session, words[1], text_row);
}

int show_arp(struct session *session, int count, char **words)
{
    if (count)
        return complain_word(session, words[0]);
    return show_lines(session, "arp", arp_row);
}

/* ---- counters, drops --------------------------------------------------------------------------- */

static int counter_row(const void *entry, void *context)
{
    const struct piglet_counter_entry *counter = entry;
    struct listing *listing = context;
    if (listing->prefix && strncmp(counter->name, listing->prefix, strlen(listing->prefix)) != 0)
        return 0;
    if (!listing->all && counter->value == 0)
        return 0;
    output_row(&listing->output);
    put_text(&listing->output, "name", counter->name, sizeof counter->name);
    put_count(&listing->output, "value", counter->value);
    put_text(&listing->output, "help", counter->help, sizeof counter->help);
    return 0;
}

int show_counters(struct session *session, int count, char **words)
{
    struct listing listing = {.prefix = words[0], .all = true};
    if (count > 1 || (count == 1 && words[0][0] == '-'))
        return complain_word(session, words[count - 1]);
    return list(session, PIGLET_OP_COUNTER_READ, 0, counter_row, &listing,
                "no counter begins so; see `pigctl counters`");
}

static int drop_row(const void *entry, void *context)
{
    const struct piglet_counter_entry *counter = entry;
    struct listing *listing = context;
    if (strncmp(counter->name, "drop.", 5) != 0 || (!listing->all && counter->value == 0) ||
        strcmp(counter->name, "drop.none") == 0)
        return 0;
    output_row(&listing->output);
    put_text(&listing->output, "reason", counter->name + 5, sizeof counter->name - 5);
    put_count(&listing->output, "frames", counter->value);
    put_text(&listing->output, "help", counter->help, sizeof counter->help);
    return 0;
}

int show_drops(struct session *session, int count, char **words)
{
    struct listing listing = {.all = count == 1 && strcmp(words[0], "--all") == 0};
    if (count && !listing.all)
        return complain_word(session, words[0]);
    return list(session, PIGLET_OP_COUNTER_READ, 0, drop_row, &listing, "no frame was dropped");
}

/* ---- log ----------------------------------------------------------------------------------------- */

struct log_reader {
    struct session *session;
    uint64_t next;
    bool follow;
    struct output output; /* without follow, and with JSON */
};

static int log_line(const void *entry, void *context)
{
    static const char *const level[] = {"error", "warning", "info", "debug"};
    const struct piglet_log_entry *line = entry;
    struct log_reader *reader = context;
    const char *name = name_of(level, sizeof level / sizeof level[0], line->level);
    char text[sizeof line->text + 1];
    if (line->number < reader->next)
        return 0;
    reader->next = line->number + 1;
    if (reader->session->json) {
        if (reader->follow)
            output_begin(&reader->output, true, OUTPUT_RECORD);
        output_row(&reader->output);
        put_count(&reader->output, "number", line->number);
        put_count(&reader->output, "time_ns", line->time_ns);
        put_word(&reader->output, "level", name);
        put_text(&reader->output, "text", line->text, sizeof line->text);
        if (reader->follow)
            output_end(&reader->output, "");
        return 0;
    }
    text_clean(text, sizeof text, line->text, sizeof line->text);
    printf("[%5" PRIu64 ".%06" PRIu64 "] %s%s%s%s\n", line->time_ns / 1000000000,
           line->time_ns / 1000 % 1000000, line->level <= 1 ? style_bad() : "",
           line->level <= 1 ? (line->level ? "WARNING " : "ERROR ") : "", text,
           line->level <= 1 ? style_end() : "");
    return 0;
}

int show_log(struct session *session, int count, char **words)
{
    struct log_reader reader = {.session = session};
    reader.follow = count == 1 && strcmp(words[0], "-f") == 0;
    if (count && !reader.follow)
        return complain_word(session, words[0]);
    output_begin(&reader.output, session->json, OUTPUT_TABLE);
    for (;;) {
        int error =
            piglet_read_table(session->piglet, PIGLET_OP_LOG_READ, reader.next, log_line, &reader);
        fflush(stdout);
        if (error)
            return complain_error(session->noun, error);
        if (!reader.follow)
            break;
        usleep(LOG_LOOK_MS * 1000);
    }
    if (session->json)
        output_end(&reader.output, "");
    return PIGCTL_DONE;
}

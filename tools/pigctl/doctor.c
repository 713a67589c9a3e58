/* doctor: whether all is there that Piglet needs to work, and what to do where it is not.
 *
 * What changes is looked at twice, LOOK_S apart. */
#define _GNU_SOURCE
#include "tools/pigctl/pigctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LOOK_S = 2,
    BEATS_MIN = LOOK_S * 1000 / PIGLET_HEARTBEAT_MS / 4, /* a busy host may be that late */
    SWITCHES_MAX = 10 * LOOK_S, /* a core of one's own sees a housekeeping thread now and then */
    LINE_ROOM = 160,
    PATH_ROOM = 160,
    ARP_LINES_MAX = 1024,
};

enum verdict { GOOD, NOTE, BAD };

/* What is looked at twice. */
struct look {
    uint32_t beat;
    struct piglet_counter_entry *counters;
    int counter_count;
    uint64_t switches; /* of the kernel's thread, which it did not want */
};

struct doctor {
    struct session *session;
    struct output output;
    bool ill;
    pid_t pid; /* of a hosted kernel; 0: not known */
    struct look before, now;
};

/* ---- saying it ---------------------------------------------------------------------------------- */

/* cure: "" where none is needed. */
__attribute__((format(printf, 5, 6))) static void say(struct doctor *doctor, enum verdict verdict,
                                                      const char *check, const char *cure,
                                                      const char *format, ...)
{
    static const char *const word[] = {"ok", "note", "bad"};
    char line[LINE_ROOM], clean[LINE_ROOM];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    text_clean(clean, sizeof clean, line, sizeof line);
    doctor->ill |= verdict == BAD;
    if (doctor->session->json) {
        output_row(&doctor->output);
        put_word(&doctor->output, "verdict", word[verdict]);
        put_word(&doctor->output, "check", check);
        put_word(&doctor->output, "found", clean);
        put_word(&doctor->output, "cure", verdict == GOOD ? "" : cure);
        return;
    }
    printf("%s%-4s%s  %-9s  %s%s%s\n",
           verdict == GOOD  ? style_good()
           : verdict == BAD ? style_bad()
                            : style_bold(),
           word[verdict], style_end(), check, clean, verdict == GOOD ? "" : "; ",
           verdict == GOOD ? "" : cure);
    fflush(stdout);
}

/* ---- the way in ---------------------------------------------------------------------------------- */

static const char *path_of(const char *where)
{
    const char *colon = strchr(where, ':');
    return colon && (strncmp(where, "unix:", 5) == 0 || strncmp(where, "shm:", 4) == 0) ? colon + 1
                                                                                        : where;
}

static void check_where(struct doctor *doctor)
{
    const char *where = piglet_where(doctor->session->piglet), *path = path_of(where);
    struct stat status;
    say(doctor, GOOD, "piglet", "", "found at %s", where);
    if (stat(path, &status) < 0)
        say(doctor, BAD, "access", "start Piglet again, it listens where nobody can come",
            "%s is not there any longer", path);
    else if (status.st_mode & S_IWOTH)
        say(doctor, BAD, "access", "chmod o-rw it: who may write there may change the network",
            "everybody on this machine may use %s (mode %03o)", path,
            (unsigned)status.st_mode & 0777);
    else
        say(doctor, GOOD, "access", "", "%s may be used by its owner%s only (mode %03o)", path,
            status.st_mode & S_IWGRP ? " and group" : "", (unsigned)status.st_mode & 0777);
}

static void check_abi(struct doctor *doctor)
{
    const struct piglet_window *window = piglet_window(doctor->session->piglet);
    const unsigned ours = PIGLET_ABI_MINOR; /* a plain 0 would make gcc object to the question */
    if (window->abi_minor < ours)
        say(doctor, NOTE, "abi", "some commands may be unsupported; start a newer Piglet",
            "version %u.%u, pigctl has %d.%d", window->abi_major, window->abi_minor,
            PIGLET_ABI_MAJOR, PIGLET_ABI_MINOR);
    else
        say(doctor, GOOD, "abi", "", "version %u.%u", window->abi_major, window->abi_minor);
    if (!(window->rights & PIGLET_RIGHT_CONFIG))
        say(doctor, NOTE, "rights", "start Piglet with window.rights=all to change it from here",
            "clients may look, but not configure");
    else
        say(doctor, GOOD, "rights", "", "clients may configure");
}

/* ---- a hosted kernel's process ------------------------------------------------------------------- */

/* Who listens at a socket. Piglet sees a client come and go. */
static pid_t listener_pid(const char *where)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof peer;
    const char *path = path_of(where);
    struct stat status;
    if (strlen(path) >= sizeof address.sun_path || stat(path, &status) < 0 ||
        !S_ISSOCK(status.st_mode))
        return 0;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        peer.pid = 0;
    close(fd);
    return peer.pid;
}

/* A line of /proc/PID/status, without its name and the blanks behind it. */
static bool proc_status(pid_t pid, const char *name, char *value, size_t room)
{
    char path[PATH_ROOM], line[LINE_ROOM];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        size_t length = strlen(name);
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *at = line + length + 1 + strspn(line + length + 1, " \t");
        snprintf(value, room, "%.*s", (int)strcspn(at, "\n"), at);
        found = true;
    }
    fclose(file);
    return found;
}

static void check_core(struct doctor *doctor)
{
    char cpus[LINE_ROOM];
    if (!doctor->pid || !proc_status(doctor->pid, "Cpus_allowed_list", cpus, sizeof cpus))
        return;
    if (strpbrk(cpus, ",-"))
        say(doctor, NOTE, "core", "start Piglet with --cpu N for steady times",
            "process %d is not pinned to a core (it may run on %s)", (int)doctor->pid, cpus);
    else
        say(doctor, GOOD, "core", "", "process %d is pinned to core %s", (int)doctor->pid, cpus);
    uint64_t switches = doctor->now.switches - doctor->before.switches;
    if (switches > SWITCHES_MAX)
        say(doctor, NOTE, "core", "keep others off it: Linux's isolcpus=, a cpuset, or taskset",
            "shared: Linux took it away %" PRIu64 " times in %d s", switches, LOOK_S);
    else
        say(doctor, GOOD, "core", "", "hardly shared: taken away %" PRIu64 " times in %d s",
            switches, LOOK_S);
}

/* ---- the network ------------------------------------------------------------------------------------ */

static int nic_check(const void *entry, void *context)
{
    const struct piglet_nic_entry *nic = entry;
    struct doctor *doctor = context;
    char name[sizeof nic->name + 1];
    text_clean(name, sizeof name, nic->name, sizeof nic->name);
    if (!nic->present)
        say(doctor, BAD, name, "see `pigctl log`, then start Piglet again", "the device is gone");
    else if (!nic->link_up)
        say(doctor, BAD, name, "plug its cable in, or set the other end up", "no link");
    else
        say(doctor, GOOD, name, "", "%.16s, link up", nic->driver);
    return 0;
}

static void check_nics(struct doctor *doctor)
{
    void *entries;
    struct piglet *piglet = doctor->session->piglet;
    int count = piglet_load_table(piglet, PIGLET_OP_NIC_LIST, 0, &entries);
    if (count == 0)
        say(doctor, BAD, "nics", "give it one: --nic tap:NAME hosted, an e1000 on a machine",
            "there is no nic");
    for (int i = 0; i < count; i++)
        nic_check((const struct piglet_nic_entry *)entries + i, doctor);
    if (count >= 0)
        free(entries);
}

struct neighbour {
    char name[TEXT_ROOM]; /* the address and a blank */
    char state[LINE_ROOM];
};

/* "10.0.0.1 52:54:00:12:34:56 nic0 reachable 34s" */
static int neighbour_look(const void *entry, void *context)
{
    const struct piglet_text_entry *line = entry;
    struct neighbour *neighbour = context;
    if (strncmp(line->text, neighbour->name, strlen(neighbour->name)) == 0)
        text_clean(neighbour->state, sizeof neighbour->state, line->text, sizeof line->text);
    return 0;
}

/* Asks something of the gateway, and arp for what became of it. */
static void check_gateway(struct doctor *doctor, uint32_t gateway)
{
    struct neighbour neighbour = {.state = ""};
    struct piglet_service_entry *services;
    piglet_address_text(gateway, neighbour.name, sizeof neighbour.name - 1);
    strcat(neighbour.name, " ");
    ping_poke(doctor->session, gateway);
    const struct piglet_service_entry *arp = service_find(doctor->session, "arp", &services);
    if (arp)
        piglet_read_table(doctor->session->piglet, PIGLET_OP_SERVICE_SHOW,
                          (uint64_t)arp->number << 32, neighbour_look, &neighbour);
    free(services);
    if (strstr(neighbour.state, " reachable ") || strstr(neighbour.state, " verifying "))
        say(doctor, GOOD, "gateway", "", "%sanswers arp", neighbour.name);
    else
        say(doctor, BAD, "gateway", "correct gateway= or see whether it is up",
            "%sdoes not answer arp", neighbour.name);
}

static void check_addresses(struct doctor *doctor)
{
    void *entries;
    int count = piglet_load_table(doctor->session->piglet, PIGLET_OP_ADDRESS_LIST, 0, &entries);
    if (count == 0)
        say(doctor, BAD, "addresses", "`pigctl addresses add 10.0.0.2/24`, or ip= at its start",
            "there is no address");
    for (int i = 0; i < count; i++) {
        const struct piglet_address_entry *address = (struct piglet_address_entry *)entries + i;
        char text[TEXT_ROOM];
        piglet_address_text(address->address, text, sizeof text);
        if (address->state == 2)
            say(doctor, BAD, "address", "change one of the two",
                "%s is another host's, too, and was given up", text);
        else
            say(doctor, GOOD, "address", "", "%s/%u on nic%u%s", text, address->length,
                address->nic, address->state ? "" : ", still being probed for duplicates");
        if (address->gateway)
            check_gateway(doctor, address->gateway);
    }
    if (count >= 0)
        free(entries);
}

/* ---- what changes ------------------------------------------------------------------------------------ */

static int look_take(struct doctor *doctor, struct look *look)
{
    void *counters = NULL;
    char number[TEXT_ROOM];
    look->beat =
        __atomic_load_n(&piglet_window(doctor->session->piglet)->heartbeat, __ATOMIC_RELAXED);
    look->switches = 0;
    if (doctor->pid &&
        proc_status(doctor->pid, "nonvoluntary_ctxt_switches", number, sizeof number))
        parse_number(number, UINT64_MAX, &look->switches);
    int count = piglet_load_table(doctor->session->piglet, PIGLET_OP_COUNTER_READ, 0, &counters);
    look->counters = counters;
    look->counter_count = count < 0 ? 0 : count;
    return count < 0 ? count : 0;
}

static void check_heartbeat(struct doctor *doctor)
{
    uint32_t beats = doctor->now.beat - doctor->before.beat;
    if (beats < BEATS_MIN)
        say(doctor, BAD, "heartbeat", "give Piglet a core of its own, or see why it hangs",
            "%u beats in %d s", beats, LOOK_S);
    else
        say(doctor, GOOD, "heartbeat", "", "%u beats in %d s", beats, LOOK_S);
}

/* Drops and losses that grew meanwhile. */
static void check_drops(struct doctor *doctor)
{
    static const char *const lossy[] = {".rx_errors", ".rx_missed", ".tx_errors"};
    unsigned growing = 0;
    for (int i = 0; i < doctor->now.counter_count && i < doctor->before.counter_count; i++) {
        const struct piglet_counter_entry *counter = &doctor->now.counters[i];
        uint64_t more = counter->value - doctor->before.counters[i].value;
        bool told = strncmp(counter->name, "drop.", 5) == 0;
        const char *dot = memchr(counter->name, '.', sizeof counter->name);
        for (size_t j = 0; dot && !told && j < sizeof lossy / sizeof lossy[0]; j++)
            told = strcmp(dot, lossy[j]) == 0;
        if (!told || !more)
            continue;
        growing++;
        say(doctor, NOTE, "drops", "see `pigctl top` for how fast",
            "%.40s grew by %" PRIu64 " in %d s: %.80s", counter->name, more, LOOK_S, counter->help);
    }
    if (!growing)
        say(doctor, GOOD, "drops", "", "none in %d s", LOOK_S);
}

static int client_check(const void *entry, void *context)
{
    const struct piglet_client_entry *client = entry;
    struct doctor *doctor = context;
    char name[PIGLET_NAME_MAX + 1];
    text_clean(name, sizeof name, client->name, sizeof client->name);
    if (client->waiting)
        say(doctor, NOTE, "clients", "it must take its events",
            "client %u (%s) waits for room for events", client->client, name);
    if (client->lies)
        say(doctor, NOTE, "clients", "correct it, or build it with this Piglet's headers",
            "client %u (%s) wrote %" PRIu64 " things that cannot be", client->client, name,
            client->lies);
    return 0;
}

int doctor(struct session *session, int count, char **words)
{
    struct doctor self = {.session = session};
    if (count)
        return complain_word(session, words[0]);
    int code = session_open(session);
    if (code != PIGCTL_DONE)
        return code;
    output_begin(&self.output, session->json, OUTPUT_TABLE);
    self.pid = listener_pid(piglet_where(session->piglet));
    int error = look_take(&self, &self.before);
    sleep(LOOK_S);
    if (!error)
        error = look_take(&self, &self.now);
    check_where(&self);
    check_abi(&self);
    check_heartbeat(&self);
    if (!error) {
        check_core(&self);
        check_drops(&self);
        check_nics(&self);
        check_addresses(&self);
        error = piglet_read_table(session->piglet, PIGLET_OP_CLIENT_LIST, 0, client_check, &self);
    }
    if (error)
        say(&self, BAD, "answers", error_cure(error), "asking failed: %s",
            piglet_error_text(error));
    if (session->json)
        output_end(&self.output, "");
    free(self.before.counters);
    free(self.now.counters);
    return self.ill || error ? PIGCTL_REFUSED : PIGCTL_DONE;
}

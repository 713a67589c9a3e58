/* The kernel's counters for Prometheus: its text exposition format 0.0.4, over HTTP/1.0. */
#define _GNU_SOURCE
#include "tools/pigctl/pigctl.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NAME_ROOM = 96,
    REQUEST_ROOM = 2048,
    PATIENCE_MS = 2000, /* with one that asks slowly: meanwhile nobody else is served */
    BACKLOG = 16,
};

struct metric {
    char name[NAME_ROOM];  /* "piglet_nic_rx_frames_total" */
    char label[NAME_ROOM]; /* "{nic=\"nic0\"}", or "" */
    char help[sizeof(((struct piglet_counter_entry *)0)->help) + 1];
    double value;
    bool seconds;
};

struct metrics {
    struct metric *metric;
    size_t count, room;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* What is counted of every service. */
static bool of_service(const char *what)
{
    return strcmp(what, "frames") == 0 || strcmp(what, "passed_on") == 0 ||
           strcmp(what, "drops") == 0 || strcmp(what, "time_ns") == 0;
}

/* "nic0.rx_frames" is a counter of the nic nic0, "drop.ip-ttl" of a reason, "arp.frames" of a service;
 * those of the kernel itself have no label. */
static void metric_name(struct metric *metric, char *who, const char *what)
{
    static const char *const own[] = {"loop", "clients"};
    const char *kind = "service", *label = who;
    bool labelled = true;
    if (strcmp(who, "drop") == 0) {
        snprintf(metric->name, sizeof metric->name, "piglet_drops_total");
        snprintf(metric->label, sizeof metric->label, "{reason=\"%s\"}", what);
        return;
    }
    if (strcmp(who, "time_ns") == 0) {
        snprintf(metric->name, sizeof metric->name, "piglet_time_seconds_total");
        snprintf(metric->label, sizeof metric->label, "{phase=\"%s\"}", what);
        metric->seconds = true;
        return;
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(who, own[i]) == 0 && !of_service(what))
            labelled = false;
    if (strncmp(who, "nic", 3) == 0 && isdigit((unsigned char)who[3]))
        kind = "nic";
    metric->seconds = strcmp(what, "time_ns") == 0;
    if (metric->seconds)
        what = "time_seconds";
    if (!labelled) {
        snprintf(metric->name, sizeof metric->name, "piglet_%.32s_%.40s_total", who, what);
        return;
    }
    snprintf(metric->name, sizeof metric->name, "piglet_%s_%.40s_total", kind, what);
    snprintf(metric->label, sizeof metric->label, "{%s=\"%.40s\"}", kind, label);
}

/* Only what the format allows in a name. */
static void metric_clean(char *name)
{
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            *name = '_';
}

static int metric_add(const void *entry, void *context)
{
    const struct piglet_counter_entry *counter = entry;
    struct metrics *metrics = context;
    char who[sizeof counter->name + 1];
    text_clean(who, sizeof who, counter->name, sizeof counter->name);
    char *what = strchr(who, '.');
    if (!what || strcmp(who, "drop.none") == 0)
        return 0;
    *what++ = 0;
    if (metrics->count == metrics->room) {
        size_t room = metrics->room ? 2 * metrics->room : 256;
        void *more = realloc(metrics->metric, room * sizeof *metrics->metric);
        if (!more)
            return ERR_NO_MEMORY;
        metrics->metric = more;
        metrics->room = room;
    }
    struct metric *metric = &metrics->metric[metrics->count++];
    memset(metric, 0, sizeof *metric);
    metric_name(metric, who, what);
    metric_clean(metric->name);
    text_clean(metric->help, sizeof metric->help, counter->help, sizeof counter->help);
    metric->value = (double)counter->value / (metric->seconds ? 1e9 : 1);
    return 0;
}

static int metric_order(const void *a, const void *b)
{
    const struct metric *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->label, right->label);
}

/* Those of one name stand together, behind what they mean. */
static void metrics_print(struct metrics *metrics, FILE *to)
{
    qsort(metrics->metric, metrics->count, sizeof *metrics->metric, metric_order);
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->metric[i];
        if (i == 0 || strcmp(metric->name, metrics->metric[i - 1].name) != 0) {
            const char *help = strcmp(metric->name, "piglet_drops_total") == 0
                                   ? "frames dropped, by reason"
                                   : metric->help;
            fprintf(to, "# HELP %s %s\n# TYPE %s counter\n", metric->name, help, metric->name);
        }
        fprintf(to, "%s%s %.17g\n", metric->name, metric->label, metric->value);
    }
}

/* What is answered, allocated; NULL: no memory. */
static char *answer_text(struct session *session, const char *request, size_t *bytes)
{
    char *text = NULL, *body = NULL;
    size_t length = 0;
    const char *status = "200 OK";
    FILE *to = open_memstream(&body, &length);
    if (!to)
        return NULL;
    if (strncmp(request, "GET /metrics", 12) != 0 && strncmp(request, "GET / ", 6) != 0) {
        status = "404 Not Found";
        fputs("see /metrics\n", to);
    } else {
        struct metrics metrics = {.count = 0};
        int error =
            piglet_read_table(session->piglet, PIGLET_OP_COUNTER_READ, 0, metric_add, &metrics);
        if (error == ERR_CANCELLED)
            error = piglet_reopen(session->piglet); /* it was restarted: the next one is served */
        if (metrics.count == 0) {
            status = "503 Service Unavailable";
            fprintf(to, "no Piglet: %s\n", piglet_error_text(error));
        } else {
            metrics_print(&metrics, to);
        }
        free(metrics.metric);
    }
    fclose(to);
    int head = asprintf(&text,
                        "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                        status, length, body ? body : "");
    free(body);
    *bytes = head < 0 ? 0 : (size_t)head;
    return head < 0 ? NULL : text;
}

static void serve(struct session *session, int fd)
{
    char request[REQUEST_ROOM] = "";
    size_t used = 0, bytes;
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (used < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t got = recv(fd, request + used, sizeof request - 1 - used, 0);
        if (got <= 0)
            return;
        used += (size_t)got;
        request[used] = 0;
    }
    char *text = answer_text(session, request, &bytes);
    for (size_t sent = 0; text && sent < bytes;) {
        ssize_t went = send(fd, text + sent, bytes - sent, MSG_NOSIGNAL);
        if (went <= 0)
            break;
        sent += (size_t)went;
    }
    free(text);
}

/* "127.0.0.1:9100" */
static int listen_at(const char *where, struct sockaddr_in *at)
{
    char address[INET_ADDRSTRLEN];
    const char *colon = strrchr(where, ':');
    uint64_t port;
    if (!colon || (size_t)(colon - where) >= sizeof address ||
        !parse_number(colon + 1, UINT16_MAX, &port))
        return -1;
    memcpy(address, where, (size_t)(colon - where));
    address[colon - where] = 0;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &at->sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)at, sizeof *at) != 0 || listen(fd, BACKLOG) != 0) {
        close(fd);
        return -2;
    }
    return fd;
}

int export_metrics(struct session *session, int count, char **words)
{
    struct sockaddr_in at;
    if (count == 0) {
        struct metrics metrics = {.count = 0};
        int error =
            piglet_read_table(session->piglet, PIGLET_OP_COUNTER_READ, 0, metric_add, &metrics);
        if (error)
            return complain_error("export", error);
        metrics_print(&metrics, stdout);
        free(metrics.metric);
        return PIGCTL_DONE;
    }
    if (count != 2 || strcmp(words[0], "--listen") != 0)
        return complain_word(session, words[0]);
    int fd = listen_at(words[1], &at);
    if (fd == -1)
        return complain(PIGCTL_USAGE, "export: %s: give ADDRESS:PORT, as in 127.0.0.1:9100",
                        words[1]);
    if (fd < 0)
        return complain(PIGCTL_REFUSED, "export: %s: %s; choose another port", words[1],
                        strerror(errno));
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    fprintf(stderr, "serving http://%s/metrics; Ctrl-C stops\n", words[1]);
    while (!stopped) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, -1) <= 0)
            continue;
        int asks = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (asks < 0)
            continue;
        serve(session, asks);
        close(asks);
    }
    close(fd);
    return PIGCTL_DONE;
}

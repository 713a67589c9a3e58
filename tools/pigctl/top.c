/* top: rates, time and drops, once a second. Every figure is the difference of two samples. */
#include "tools/pigctl/pigctl.h"

#include <curses.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_MS = 1000,
    ROWS_MAX = 64,
    ROW_ROOM = 160,
    DROP_PREFIX = 5, /* "drop." */
};

/* All that is shown, read at one time. */
struct sample {
    struct piglet_status_entry status;
    struct piglet_nic_entry *nics;
    struct piglet_service_entry *services;
    struct piglet_client_entry *clients;
    struct piglet_counter_entry *counters;
    int nic_count, service_count, client_count, counter_count;
};

enum section_name { SECTION_NICS, SECTION_TIME, SECTION_CLIENTS, SECTION_DROPS, SECTION_COUNT };

struct section {
    char title[ROW_ROOM];
    char row[ROWS_MAX][ROW_ROOM];
    unsigned rows, shown;
};

struct view {
    char head[ROW_ROOM];
    struct section section[SECTION_COUNT];
};

/* ---- sampling ---------------------------------------------------------------------------------- */

static int status_copy(const void *entry, void *context)
{
    memcpy(context, entry, sizeof(struct piglet_status_entry));
    return 0;
}

static void sample_free(struct sample *sample)
{
    free(sample->nics);
    free(sample->services);
    free(sample->clients);
    free(sample->counters);
    memset(sample, 0, sizeof *sample);
}

static int sample_table(struct piglet *piglet, unsigned opcode, void *entries, int *count)
{
    void *array = NULL;
    int loaded = piglet_load_table(piglet, opcode, 0, &array);
    memcpy(entries, &array, sizeof array);
    *count = loaded < 0 ? 0 : loaded;
    return loaded < 0 ? loaded : 0;
}

static int sample_take(struct piglet *piglet, struct sample *sample)
{
    memset(sample, 0, sizeof *sample);
    int error = piglet_read_table(piglet, PIGLET_OP_STATUS_READ, 0, status_copy, &sample->status);
    if (!error)
        error = sample_table(piglet, PIGLET_OP_NIC_LIST, &sample->nics, &sample->nic_count);
    if (!error)
        error =
            sample_table(piglet, PIGLET_OP_SERVICE_LIST, &sample->services, &sample->service_count);
    if (!error)
        error =
            sample_table(piglet, PIGLET_OP_CLIENT_LIST, &sample->clients, &sample->client_count);
    if (!error)
        error =
            sample_table(piglet, PIGLET_OP_COUNTER_READ, &sample->counters, &sample->counter_count);
    return error;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static char *section_row(struct section *section)
{
    char *row = section->row[section->rows < ROWS_MAX - 1 ? section->rows++ : ROWS_MAX - 1];
    *row = 0;
    return row;
}

/* A counter may have begun anew. */
static uint64_t grown(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : now;
}

static const char *rate(char *text, uint64_t amount, uint64_t span_ns, const char *unit)
{
    return text_scaled(text, (double)amount * 1e9 / (double)span_ns, unit);
}

static void nic_row(struct section *section, const struct piglet_nic_entry *before,
                    const struct piglet_nic_entry *now, uint64_t span_ns)
{
    char name[sizeof now->name + 1], a[TEXT_ROOM], b[TEXT_ROOM], c[TEXT_ROOM], d[TEXT_ROOM];
    uint64_t rx = grown(before->rx_frames, now->rx_frames);
    uint64_t tx = grown(before->tx_frames, now->tx_frames);
    uint64_t rx_batches = grown(before->rx_batches, now->rx_batches);
    uint64_t tx_batches = grown(before->tx_batches, now->tx_batches);
    snprintf(section_row(section), ROW_ROOM,
             "%-6s %-4s %8s %10s %6.1f   %8s %10s %6.1f   %6" PRIu64,
             text_clean(name, sizeof name, now->name, sizeof now->name),
             !now->present  ? "gone"
             : now->link_up ? "up"
                            : "down",
             rate(a, rx, span_ns, ""),
             rate(b, 8 * grown(before->rx_bytes, now->rx_bytes), span_ns, "b/s"),
             rx_batches ? (double)rx / (double)rx_batches : 0.0, rate(c, tx, span_ns, ""),
             rate(d, 8 * grown(before->tx_bytes, now->tx_bytes), span_ns, "b/s"),
             tx_batches ? (double)tx / (double)tx_batches : 0.0,
             grown(before->rx_missed, now->rx_missed));
}

static void nics_fill(struct section *section, const struct sample *before,
                      const struct sample *now, uint64_t span_ns)
{
    static const struct piglet_nic_entry none;
    snprintf(section->title, ROW_ROOM, "%-6s %-4s %8s %10s %6s   %8s %10s %6s   %6s", "NIC", "LINK",
             "RX/S", "RX", "BATCH", "TX/S", "TX", "BATCH", "MISSED");
    for (int i = 0; i < now->nic_count; i++)
        nic_row(section, i < before->nic_count ? &before->nics[i] : &none, &now->nics[i], span_ns);
}

/* Of a processor, in percent: what work took, and that together with looking for work. */
struct load {
    double work, processor;
};

/* Phases left, services right; both sum up to all time. */
static struct load time_fill(struct section *section, const struct sample *before,
                             const struct sample *now)
{
    uint64_t phase_ns[PIGLET_PHASES_MAX] = {0}, all_ns = 0, polling_ns = 0, asleep_ns = 0;
    unsigned phases =
        now->status.phases < PIGLET_PHASES_MAX ? now->status.phases : PIGLET_PHASES_MAX;
    int services = now->service_count, common = before->service_count;
    for (unsigned i = 0; i < phases; i++) {
        phase_ns[i] = grown(before->status.phase[i].time_ns, now->status.phase[i].time_ns);
        all_ns += phase_ns[i];
        if (strncmp(now->status.phase[i].name, "idle", 16) == 0)
            asleep_ns += phase_ns[i];
        if (strncmp(now->status.phase[i].name, "polling", 16) == 0)
            polling_ns += phase_ns[i];
    }
    for (int i = 0; i < services && i < common; i++)
        all_ns += grown(before->services[i].time_ns, now->services[i].time_ns);
    double whole = all_ns ? (double)all_ns : 1;
    snprintf(section->title, ROW_ROOM, "%-14s %7s     %-14s %7s %9s", "PHASE", "TIME", "SERVICE",
             "TIME", "FRAMES/S");
    for (int i = 0; i < (int)phases || (i < services && i < common); i++) {
        char *row = section_row(section), name[sizeof now->services->name + 1], text[TEXT_ROOM];
        int used = 0;
        if (i < (int)phases)
            used = snprintf(row, ROW_ROOM, "%-14s %5.1f %%",
                            text_clean(name, sizeof name, now->status.phase[i].name, 16),
                            100 * (double)phase_ns[i] / whole);
        if (i >= services || i >= common)
            continue;
        const struct piglet_service_entry *service = &now->services[i];
        uint64_t time_ns = grown(before->services[i].time_ns, service->time_ns);
        uint64_t span_ns = now->status.now_ns - before->status.now_ns;
        snprintf(row + used, ROW_ROOM - (size_t)used, "%*s     %-14s ", 22 - used, "",
                 text_clean(name, sizeof name, service->name, sizeof service->name));
        used = (int)strlen(row);
        if (service->running)
            snprintf(row + used, ROW_ROOM - (size_t)used, "%5.1f %% %9s",
                     100 * (double)time_ns / whole,
                     rate(text, grown(before->services[i].frames, service->frames),
                          span_ns ? span_ns : 1, ""));
        else
            snprintf(row + used, ROW_ROOM - (size_t)used, "stopped");
    }
    return (struct load){.work = 100 * (double)(all_ns - asleep_ns - polling_ns) / whole,
                         .processor = 100 * (double)(all_ns - asleep_ns) / whole};
}

static int busier(const void *left, const void *right)
{
    uint64_t a = ((const struct piglet_client_entry *)left)->time_ns;
    uint64_t b = ((const struct piglet_client_entry *)right)->time_ns;
    return a == b ? 0 : a < b ? 1 : -1;
}

/* The client's former entry; one that attached anew begins at 0. */
static const struct piglet_client_entry *client_before(const struct sample *before,
                                                       const struct piglet_client_entry *now)
{
    static const struct piglet_client_entry none;
    for (int i = 0; i < before->client_count; i++)
        if (before->clients[i].client == now->client && before->clients[i].pid == now->pid)
            return &before->clients[i];
    return &none;
}

static void clients_fill(struct section *section, const struct sample *before,
                         const struct sample *now, uint64_t span_ns)
{
    struct piglet_client_entry *client = calloc((size_t)now->client_count + 1, sizeof *client);
    char name[PIGLET_NAME_MAX + 1], a[TEXT_ROOM], b[TEXT_ROOM], c[TEXT_ROOM];
    snprintf(section->title, ROW_ROOM, "%-20s %7s %7s %11s %9s %9s %6s %s", "CLIENT", "PID", "TIME",
             "REQUESTS/S", "RX/S", "TX/S", "PAGES", "");
    for (int i = 0; client && i < now->client_count; i++) {
        const struct piglet_client_entry *last = client_before(before, &now->clients[i]);
        client[i] = now->clients[i];
        client[i].time_ns = grown(last->time_ns, client[i].time_ns);
        client[i].requests = grown(last->requests, client[i].requests);
        client[i].rx_frames = grown(last->rx_frames, client[i].rx_frames);
        client[i].tx_frames = grown(last->tx_frames, client[i].tx_frames);
    }
    if (client)
        qsort(client, (size_t)now->client_count, sizeof *client, busier);
    for (int i = 0; client && i < now->client_count; i++)
        snprintf(section_row(section), ROW_ROOM,
                 "%-20.20s %7" PRIu32 " %5.1f %% %11s %9s %9s %6" PRIu32 " %s",
                 text_clean(name, sizeof name, client[i].name, sizeof client[i].name),
                 client[i].pid, 100 * (double)client[i].time_ns / (double)span_ns,
                 rate(a, client[i].requests, span_ns, ""),
                 rate(b, client[i].rx_frames, span_ns, ""),
                 rate(c, client[i].tx_frames, span_ns, ""), client[i].pages,
                 client[i].waiting ? "waits for room for events" : "");
    free(client);
}

static int more(const void *left, const void *right)
{
    uint64_t a = ((const struct piglet_counter_entry *)left)->value;
    uint64_t b = ((const struct piglet_counter_entry *)right)->value;
    return a == b ? 0 : a < b ? 1 : -1;
}

static void drops_fill(struct section *section, const struct sample *before,
                       const struct sample *now, uint64_t span_ns)
{
    struct piglet_counter_entry *drop = calloc((size_t)now->counter_count + 1, sizeof *drop);
    char name[sizeof drop->name + 1], help[sizeof drop->help + 1], text[TEXT_ROOM];
    size_t count = 0;
    snprintf(section->title, ROW_ROOM, "%-20s %9s  %s", "DROPS", "FRAMES/S", "BECAUSE");
    for (int i = 0; drop && i < now->counter_count; i++) {
        const struct piglet_counter_entry *counter = &now->counters[i];
        uint64_t last = i < before->counter_count ? before->counters[i].value : 0;
        if (strncmp(counter->name, "drop.", DROP_PREFIX) != 0 || counter->value == last)
            continue;
        drop[count] = *counter;
        drop[count++].value = grown(last, counter->value);
    }
    if (drop)
        qsort(drop, count, sizeof *drop, more);
    for (size_t i = 0; i < count; i++)
        snprintf(section_row(section), ROW_ROOM, "%-20.20s %9s  %s",
                 text_clean(name, sizeof name, drop[i].name + DROP_PREFIX,
                            sizeof drop[i].name - DROP_PREFIX),
                 rate(text, drop[i].value, span_ns, ""),
                 text_clean(help, sizeof help, drop[i].help, sizeof drop[i].help));
    if (count == 0)
        snprintf(section_row(section), ROW_ROOM, "none");
    free(drop);
}

static void view_fill(struct view *view, const struct sample *before, const struct sample *now,
                      const char *where)
{
    const struct piglet_status_entry *status = &now->status;
    char version[sizeof status->version + 1], up[TEXT_ROOM], turns[TEXT_ROOM];
    uint64_t span_ns =
        status->now_ns > before->status.now_ns ? status->now_ns - before->status.now_ns : 1;
    memset(view, 0, sizeof *view);
    nics_fill(&view->section[SECTION_NICS], before, now, span_ns);
    struct load load = time_fill(&view->section[SECTION_TIME], before, now);
    clients_fill(&view->section[SECTION_CLIENTS], before, now, span_ns);
    drops_fill(&view->section[SECTION_DROPS], before, now, span_ns);
    snprintf(view->head, ROW_ROOM,
             "Piglet %s  load %.1f %% (processor %.0f %%)  up %s  frames %" PRIu32 "/%" PRIu32
             "  turns %s  %s",
             text_clean(version, sizeof version, status->version, sizeof status->version),
             load.work, load.processor, text_time(up, status->now_ns),
             status->frames - status->frames_free, status->frames,
             rate(turns, grown(before->status.turns, status->turns), span_ns, "/s"), where);
}

/* ---- the screen --------------------------------------------------------------------------------- */

/* Which rows fit: the longest section gives way first; when titles alone are too many, the last. */
static unsigned view_fit(struct view *view, int lines)
{
    unsigned sections = SECTION_COUNT, total;
    for (unsigned i = 0; i < SECTION_COUNT; i++)
        view->section[i].shown = view->section[i].rows;
    while (sections > 1 && 1 + 2 * (int)sections > lines)
        sections--;
    for (;;) {
        struct section *longest = &view->section[0];
        total = 1;
        for (unsigned i = 0; i < sections; i++) {
            total += 1 + view->section[i].shown;
            if (view->section[i].shown > longest->shown)
                longest = &view->section[i];
        }
        if ((int)total <= lines || longest->shown == 0)
            break;
        longest->shown--;
    }
    return sections;
}

/* Blank lines between sections where they fit too. */
static void view_draw(struct view *view)
{
    int line = 0;
    unsigned sections = view_fit(view, LINES), total = 1;
    for (unsigned i = 0; i < sections; i++)
        total += 1 + view->section[i].shown;
    bool airy = (int)(total + sections) <= LINES;
    erase();
    attron(A_BOLD);
    mvaddnstr(line++, 0, view->head, COLS);
    attroff(A_BOLD);
    for (unsigned i = 0; i < sections; i++) {
        struct section *section = &view->section[i];
        line += airy;
        attron(A_REVERSE);
        mvprintw(line, 0, "%-*.*s", COLS, COLS, section->title);
        if (section->shown < section->rows && COLS >= 16)
            mvprintw(line, COLS - 9, " +%u more", section->rows - section->shown);
        attroff(A_REVERSE);
        line++;
        for (unsigned row = 0; row < section->shown; row++)
            mvaddnstr(line++, 0, section->row[row], COLS);
    }
    refresh();
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* Until the key q (0), or an error. Keys and changes of size do not wait for the next sample. */
static int top_loop(struct session *session, struct view *view)
{
    struct sample before, now;
    int error = sample_take(session->piglet, &before);
    while (!error) {
        int key = getch();
        if (key == 'q' || key == 'Q' || key == 3)
            break;
        if (key != ERR) {
            view_draw(view);
            continue;
        }
        error = piglet_alive(session->piglet) ? 0 : ERR_CANCELLED;
        if (error)
            break;
        error = sample_take(session->piglet, &now);
        if (error) {
            sample_free(&now);
            break;
        }
        view_fill(view, &before, &now, piglet_where(session->piglet));
        view_draw(view);
        sample_free(&before);
        before = now;
    }
    sample_free(&before);
    return error;
}

int top(struct session *session, int count, char **words)
{
    if (count)
        return complain_word(session, words[0]);
    if (session->json)
        return complain(PIGCTL_USAGE, "top: is for people; programs take the difference of two "
                                      "`pigctl counters --json`");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return complain(PIGCTL_USAGE, "top: needs a terminal; without one, use `pigctl status`");
    struct view *view = calloc(1, sizeof *view);
    SCREEN *screen = view ? newterm(NULL, stdout, stdin) : NULL;
    if (!screen) {
        free(view);
        return complain(PIGCTL_REFUSED, "top: this terminal is not known; set TERM, for instance "
                                        "to xterm");
    }
    snprintf(view->head, ROW_ROOM, "Piglet at %s: looking for a second...",
             piglet_where(session->piglet));
    noecho();
    raw(); /* Ctrl-C is a key: the terminal is always put back in order */
    keypad(stdscr, TRUE);
    curs_set(0);
    view_draw(view);
    timeout(LOOK_MS);
    int error = top_loop(session, view);
    endwin();
    delscreen(screen);
    free(view);
    if (error == ERR_CANCELLED || error == ERR_TIMEOUT)
        return complain(PIGCTL_REFUSED, "Piglet at %s has gone; start it again",
                        piglet_where(session->piglet));
    return error ? complain_error("top", error) : PIGCTL_DONE;
}

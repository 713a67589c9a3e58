/* ping: ICMP echo (RFC 792) from Piglet's own address, through a frameset. */
#define _GNU_SOURCE
#include "tools/pigctl/pigctl.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire/icmp.h"

enum {
    PING_PAGES = 4, /* a ring of 6 slots: one question is under way at a time */
    PING_PROTOCOL = 1,
    PING_DATA = 56,           /* as ping(8) has it: 64 bytes with the header */
    PING_LINGER_US = 1000000, /* for the last answer, at least */
    PING_STEP_US = 50000,     /* Ctrl-C is seen so late at most */
    PING_COUNT_MAX = 1000000000,
};

struct pinger {
    struct session *session;
    struct piglet_frameset frameset;
    uint32_t address;
    char name[TEXT_ROOM];
    uint64_t count, interval_us;
    uint16_t id;
    uint64_t refused; /* of the ring, when it was last looked at */
    uint64_t sent, received, duplicates;
    uint64_t start_us, question_us; /* when the last question left */
    uint64_t min_us, max_us;
    double sum_us, squares_us;
    bool answered; /* the last question */
    bool quiet;    /* nothing is printed on the way */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- questions --------------------------------------------------------------------------------- */

static int ping_open(struct pinger *pinger)
{
    struct piglet *piglet = pinger->session->piglet;
    struct piglet_chain chain;
    int error = piglet_frameset_open(piglet, PING_PAGES, PING_PAGES, &pinger->frameset);
    if (error)
        return error;
    struct piglet_argument frameset = piglet_capability(pinger->frameset.capability);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    piglet_chain_set_peer(&chain, frameset, pinger->address, 0, PING_PROTOCOL);
    piglet_chain_frameset_start(&chain, frameset);
    return piglet_wait(piglet, piglet_post(&chain), PIGLET_FOREVER, NULL);
}

static int ping_ask(struct pinger *pinger)
{
    struct piglet_view view;
    if (piglet_send_slots(&pinger->frameset, &view, 1) == 0)
        return 0; /* Piglet is behind: this one is lost, like any other */
    struct icmp_header header = {.type = ICMP_ECHO_REQUEST,
                                 .id = be16(pinger->id),
                                 .sequence = be16((uint16_t)(pinger->sent + 1))};
    uint8_t *data = view.data + sizeof header;
    for (unsigned i = 0; i < PING_DATA; i++)
        data[i] = (uint8_t)i;
    memcpy(view.data, &header, sizeof header);
    header.checksum = checksum_finish(checksum_add(0, view.data, sizeof header + PING_DATA));
    memcpy(view.data, &header, sizeof header);
    view.frame.length = sizeof header + PING_DATA;
    pinger->sent++;
    pinger->answered = false;
    pinger->question_us = now_us();
    return piglet_send(&pinger->frameset, &view, 1);
}

/* ---- answers ----------------------------------------------------------------------------------- */

static void ping_count(struct pinger *pinger, uint64_t rtt_us)
{
    if (pinger->received == 0 || rtt_us < pinger->min_us)
        pinger->min_us = rtt_us;
    if (rtt_us > pinger->max_us)
        pinger->max_us = rtt_us;
    pinger->sum_us += (double)rtt_us;
    pinger->squares_us += (double)rtt_us * (double)rtt_us;
    pinger->received++;
}

static void ping_answer(struct pinger *pinger, const struct piglet_view *view)
{
    struct icmp_header header;
    uint64_t rtt_us = now_us() - pinger->question_us;
    unsigned length = view->frame.length;
    if (length < sizeof header || !be16_is(checksum_finish(checksum_add(0, view->data, length)), 0))
        return;
    memcpy(&header, view->data, sizeof header);
    uint16_t sequence = be16_get(header.sequence);
    if (header.type == ICMP_ECHO_REPLY && be16_is(header.id, pinger->id)) {
        /* Only the last question's time is known; an older answer is late and counted lost. */
        if (sequence != (uint16_t)pinger->sent)
            return;
        const char *again = pinger->answered ? " (DUP!)" : "";
        if (pinger->answered)
            pinger->duplicates++;
        else
            ping_count(pinger, rtt_us);
        pinger->answered = true;
        if (!pinger->quiet)
            printf("%u bytes from %s: icmp_seq=%u time=%.3f ms%s\n", length, pinger->name, sequence,
                   (double)rtt_us / 1000, again);
    } else if (header.type == ICMP_UNREACHABLE && !pinger->quiet) {
        printf("From %s icmp_seq=%" PRIu64 " Destination Unreachable, code %u\n", pinger->name,
               pinger->sent, header.code);
    }
    fflush(stdout);
}

static void ping_refused(struct pinger *pinger)
{
    uint64_t refused = pinger->frameset.tx->refused;
    if (refused != pinger->refused && !pinger->quiet)
        printf("icmp_seq=%" PRIu64 " not sent: no route to %s, or it is Piglet's own; "
               "see `pigctl routes`\n",
               pinger->sent, pinger->name);
    fflush(stdout);
    pinger->refused = refused;
}

/* Takes answers until the time, or, where there is nothing more to wait for, until the answer. */
static int ping_listen(struct pinger *pinger, uint64_t until_us, bool last)
{
    struct piglet_view views[PING_PAGES];
    while (!interrupted && !(last && pinger->answered)) {
        uint64_t at_us = now_us();
        if (at_us >= until_us)
            break;
        uint64_t wait_us = until_us - at_us < PING_STEP_US ? until_us - at_us : PING_STEP_US;
        int error = piglet_receive_wait(&pinger->frameset, (int64_t)wait_us);
        ping_refused(pinger);
        if (error == ERR_TIMEOUT)
            continue;
        if (error)
            return error;
        unsigned count = piglet_receive(&pinger->frameset, views, PING_PAGES);
        for (unsigned i = 0; i < count; i++)
            ping_answer(pinger, &views[i]);
        piglet_receive_done(&pinger->frameset);
    }
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void ping_report(const struct pinger *pinger)
{
    double n = pinger->received ? (double)pinger->received : 1;
    double mean_us = pinger->sum_us / n;
    double variance = pinger->squares_us / n - mean_us * mean_us;
    double loss =
        pinger->sent ? 100.0 * (double)(pinger->sent - pinger->received) / (double)pinger->sent : 0;
    double deviation_us = variance > 0 ? sqrt(variance) : 0;
    if (pinger->session->json) {
        printf("{\"address\": \"%s\", \"sent\": %" PRIu64 ", \"received\": %" PRIu64
               ", \"duplicates\": %" PRIu64 ", \"loss_percent\": %.3f",
               pinger->name, pinger->sent, pinger->received, pinger->duplicates, loss);
        if (pinger->received)
            printf(", \"min_ms\": %.3f, \"avg_ms\": %.3f, \"max_ms\": %.3f, \"mdev_ms\": %.3f",
                   (double)pinger->min_us / 1000, mean_us / 1000, (double)pinger->max_us / 1000,
                   deviation_us / 1000);
        puts("}");
        return;
    }
    printf("\n--- %s ping statistics ---\n%" PRIu64 " packets transmitted, %" PRIu64 " received, ",
           pinger->name, pinger->sent, pinger->received);
    if (pinger->duplicates)
        printf("+%" PRIu64 " duplicates, ", pinger->duplicates);
    printf("%.3g%% packet loss, time %" PRIu64 "ms\n", loss, (now_us() - pinger->start_us) / 1000);
    if (pinger->received)
        printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", (double)pinger->min_us / 1000,
               mean_us / 1000, (double)pinger->max_us / 1000, deviation_us / 1000);
}

int ping_poke(struct session *session, uint32_t address)
{
    struct pinger pinger = {.session = session, .address = address, .quiet = true};
    int error = ping_open(&pinger);
    if (!error)
        error = ping_ask(&pinger);
    if (!error)
        error = ping_listen(&pinger, now_us() + PING_LINGER_US, true);
    piglet_frameset_close(&pinger.frameset);
    return error;
}

static int ping_run(struct pinger *pinger)
{
    int error = 0;
    pinger->start_us = now_us();
    for (uint64_t i = 0; !error && !interrupted && i < pinger->count; i++) {
        bool last = i + 1 == pinger->count;
        uint64_t wait_us = pinger->interval_us;
        error = ping_ask(pinger);
        if (last && wait_us < PING_LINGER_US)
            wait_us = PING_LINGER_US;
        if (!error)
            error = ping_listen(pinger, now_us() + wait_us, last);
    }
    ping_report(pinger);
    return error;
}

static bool ping_words(struct pinger *pinger, char **words, const char **wrong)
{
    uint64_t number;
    bool named = false;
    for (; *words; words++) {
        *wrong = *words;
        if (strcmp(*words, "-c") == 0) {
            *wrong = *++words;
            if (!*words || !parse_number(*words, PING_COUNT_MAX, &number) || number == 0)
                return false;
            pinger->count = number;
        } else if (strcmp(*words, "-i") == 0) {
            char *end;
            *wrong = *++words;
            double seconds = *words ? strtod(*words, &end) : 0;
            if (!*words || *end || !(seconds >= 0.001 && seconds <= 3600))
                return false;
            pinger->interval_us = (uint64_t)(seconds * 1e6);
        } else if (named || !parse_address(*words, &pinger->address) || !pinger->address) {
            return false;
        } else {
            named = true;
        }
    }
    *wrong = NULL;
    return named;
}

int ping(struct session *session, int count, char **words)
{
    struct pinger pinger = {.session = session,
                            .count = UINT64_MAX,
                            .interval_us = 1000000,
                            .id = (uint16_t)getpid(),
                            .quiet = session->json};
    const char *wrong = NULL;
    (void)count;
    if (!ping_words(&pinger, words, &wrong))
        return complain_word(session, wrong);
    piglet_address_text(pinger.address, pinger.name, sizeof pinger.name);
    int error = ping_open(&pinger);
    if (error)
        return complain_error("ping: a frameset", error);
    /* Without SA_RESTART: the wait for a frame is to end. */
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    if (!session->json)
        printf("PING %s %d(%d) bytes of data.\n", pinger.name, PING_DATA,
               PING_DATA + ICMP_HEADER_LENGTH + IPV4_HEADER_MIN);
    fflush(stdout);
    error = ping_run(&pinger);
    if (error)
        return complain_error("ping", error);
    return pinger.received ? PIGCTL_DONE : PIGCTL_REFUSED;
}

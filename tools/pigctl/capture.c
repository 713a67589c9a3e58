/* Capturing: copies of what nics receive and send, and what was dropped and why, as pcapng.
 *
 * The format: draft-ietf-opsawg-pcapng, sections 4.1 (section header), 4.2 (interface description)
 * and 4.3 (enhanced packet). One interface a nic, in the nics' order. */
#define _GNU_SOURCE
#include "tools/pigctl/filter.h"
#include "tools/pigctl/pigctl.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    NICS_MOST = 8,
    FRAMES_AT_ONCE = 64,
    SNAP_LENGTH = 1514,
    DROPS_LOOK_MS = 200,
    BLOCK_ROOM = 2048,
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_NAME = 2,
    OPTION_FLAGS = 2,
    OPTION_RESOLUTION = 9,
    NANOSECONDS = 9,
    FLAG_INBOUND = 1,
    FLAG_OUTBOUND = 2,
};

struct capture {
    struct session *session;
    FILE *to;
    unsigned nics;
    bool chosen[NICS_MOST];
    bool frames, drops, filtered;
    struct bpf_program filter;
    struct piglet_frameset frameset[NICS_MOST];
    uint64_t wall_offset_ns; /* from the kernel's clock to ours */
    uint64_t next_drop;
    uint64_t written, limit;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* ---- pcapng ------------------------------------------------------------------------------------------ */

struct block {
    uint32_t used;
    uint8_t bytes[BLOCK_ROOM];
};

static void block_put(struct block *block, const void *data, size_t length)
{
    static const uint8_t zero[4];
    memcpy(block->bytes + block->used, data, length);
    block->used += (uint32_t)length;
    memcpy(block->bytes + block->used, zero, -length & 3);
    block->used += -length & 3;
}

static void block_put32(struct block *block, uint32_t value)
{
    block_put(block, &value, sizeof value);
}

static void block_option(struct block *block, uint16_t code, const void *data, uint16_t length)
{
    uint16_t head[2] = {code, length};
    block_put(block, head, sizeof head);
    block_put(block, data, length);
}

static void block_begin(struct block *block, uint32_t type)
{
    block->used = 0;
    block_put32(block, type);
    block_put32(block, 0); /* its length, once it is known */
}

static bool block_end(struct block *block, FILE *to)
{
    block_option(block, OPTION_END, "", 0);
    block_put32(block, block->used + 4);
    memcpy(block->bytes + 4, &block->used, sizeof block->used);
    return fwrite(block->bytes, block->used, 1, to) == 1;
}

static bool write_heads(struct capture *capture)
{
    struct block block;
    uint16_t version[2] = {1, 0};
    uint64_t unknown = UINT64_MAX;
    block_begin(&block, BLOCK_SECTION);
    block_put32(&block, 0x1a2b3c4d);
    block_put(&block, version, sizeof version);
    block_put(&block, &unknown, sizeof unknown);
    bool good = block_end(&block, capture->to);
    for (unsigned i = 0; i < capture->nics && good; i++) {
        char name[8];
        uint16_t link[2] = {DLT_EN10MB, 0};
        uint8_t resolution = NANOSECONDS;
        int length = snprintf(name, sizeof name, "nic%u", i);
        block_begin(&block, BLOCK_INTERFACE);
        block_put(&block, link, sizeof link);
        block_put32(&block, SNAP_LENGTH);
        block_option(&block, OPTION_NAME, name, (uint16_t)length);
        block_option(&block, OPTION_RESOLUTION, &resolution, sizeof resolution);
        good = block_end(&block, capture->to);
    }
    return good;
}

static bool write_frame(struct capture *capture, unsigned nic, uint64_t time_ns,
                        const uint8_t *data, uint32_t kept, uint32_t length, uint32_t flags,
                        const char *comment)
{
    struct block block;
    struct pcap_pkthdr header = {.caplen = kept, .len = length};
    if (capture->filtered && !pcap_offline_filter(&capture->filter, &header, data))
        return true;
    time_ns += capture->wall_offset_ns;
    block_begin(&block, BLOCK_PACKET);
    block_put32(&block, nic);
    block_put32(&block, (uint32_t)(time_ns >> 32));
    block_put32(&block, (uint32_t)time_ns);
    block_put32(&block, kept);
    block_put32(&block, length);
    block_put(&block, data, kept);
    block_option(&block, OPTION_FLAGS, &flags, sizeof flags);
    if (comment)
        block_option(&block, OPTION_COMMENT, comment, (uint16_t)strlen(comment));
    capture->written++;
    return block_end(&block, capture->to);
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

/* Whether all could be written; *some: something came. */
static bool take_frames(struct capture *capture, unsigned nic, bool *some)
{
    struct piglet_view view[FRAMES_AT_ONCE];
    struct piglet_frameset *frameset = &capture->frameset[nic];
    unsigned count = piglet_receive(frameset, view, FRAMES_AT_ONCE);
    bool good = true;
    for (unsigned i = 0; i < count && good && capture->written < capture->limit; i++) {
        uint32_t length = view[i].frame.length < SNAP_LENGTH ? view[i].frame.length : SNAP_LENGTH;
        good = write_frame(capture, nic, view[i].frame.time_ns, view[i].data, length, length,
                           view[i].frame.flags & PIGLET_FRAME_SENT ? FLAG_OUTBOUND : FLAG_INBOUND,
                           NULL);
    }
    *some |= count != 0;
    piglet_receive_done(frameset);
    return good;
}

static int take_drop(const void *entry, void *context)
{
    const struct piglet_record_entry *record = entry;
    struct capture *capture = context;
    char comment[192], who[sizeof record->who + 1], reason[sizeof record->reason + 1],
        sentence[sizeof record->sentence + 1];
    capture->next_drop = record->number + 1;
    if (record_passed(record) || record->nic >= capture->nics || !capture->chosen[record->nic] ||
        capture->written == capture->limit)
        return 0;
    text_clean(who, sizeof who, record->who, sizeof record->who);
    text_clean(reason, sizeof reason, record->reason, sizeof record->reason);
    text_clean(sentence, sizeof sentence, record->sentence, sizeof record->sentence);
    snprintf(comment, sizeof comment, "dropped by %s: %s (%s)", who, sentence, reason);
    uint32_t kept = record->kept < sizeof record->bytes ? record->kept : sizeof record->bytes;
    return write_frame(capture, record->nic, record->time_ns, record->bytes, kept, record->length,
                       record->outgoing ? FLAG_OUTBOUND : FLAG_INBOUND, comment)
               ? 0
               : ERR_DEVICE;
}

static int take_all(struct capture *capture)
{
    struct piglet *piglet = capture->session->piglet;
    uint64_t looked_ms = 0;
    struct timespec now;
    while (!stopped && capture->written < capture->limit) {
        bool some = false, good = true;
        for (unsigned i = 0; i < capture->nics && good; i++)
            if (capture->frames && capture->chosen[i])
                good = take_frames(capture, i, &some);
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        if (good && capture->drops && now_ms - looked_ms >= DROPS_LOOK_MS) {
            int error = piglet_read_table(piglet, PIGLET_OP_RECORD_READ, capture->next_drop,
                                          take_drop, capture);
            if (error && error != ERR_DEVICE)
                return complain_error("capture", error);
            good = error == 0;
            looked_ms = now_ms;
        }
        if (!good || (!some && fflush(capture->to) != 0))
            return stopped ? PIGCTL_DONE
                           : complain(PIGCTL_REFUSED, "capture: writing: %s", strerror(errno));
        if (!piglet_alive(piglet))
            return complain(PIGCTL_NONE, "capture: the Piglet has gone");
        if (!some)
            usleep(1000);
    }
    fflush(capture->to);
    return PIGCTL_DONE;
}

/* ---- beginning and end ------------------------------------------------------------------------------------ */

static int status_row(const void *entry, void *context)
{
    const struct piglet_status_entry *status = entry;
    struct capture *capture = context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    capture->wall_offset_ns =
        (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - status->now_ns;
    capture->nics = status->nics < NICS_MOST ? status->nics : NICS_MOST;
    return 0;
}

/* Only what is dropped from now on. */
static int drop_skip(const void *entry, void *context)
{
    const struct piglet_record_entry *record = entry;
    ((struct capture *)context)->next_drop = record->number + 1;
    return 0;
}

static int join(struct capture *capture, unsigned nic, unsigned share)
{
    struct piglet *piglet = capture->session->piglet;
    struct piglet_chain chain;
    struct piglet_frameset *frameset = &capture->frameset[nic];
    uint32_t pages = piglet_window(piglet)->data_pages / 4 * 3 / share;
    int error = piglet_frameset_open(piglet, PIGLET_RING_PAGES_MIN, pages, frameset);
    if (error)
        return error;
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    piglet_chain_add(&chain, PIGLET_OP_JOIN, piglet_capability(piglet_window(piglet)->system),
                     piglet_capability(frameset->capability), piglet_number(nic), piglet_none());
    piglet_chain_frameset_start(&chain, piglet_capability(frameset->capability));
    return piglet_wait(piglet, piglet_post(&chain), 5000000, NULL);
}

static int capture_begin(struct capture *capture)
{
    struct piglet *piglet = capture->session->piglet;
    unsigned share = 0;
    int error = 0;
    if (capture->drops)
        error = piglet_read_table(piglet, PIGLET_OP_RECORD_READ, 0, drop_skip, capture);
    for (unsigned i = 0; i < capture->nics; i++)
        share += capture->chosen[i];
    if (share == 0)
        return complain(PIGCTL_REFUSED, "capture: there is no such nic; see `pigctl nics`");
    for (unsigned i = 0; i < capture->nics && !error; i++)
        if (capture->frames && capture->chosen[i])
            error = join(capture, i, share);
    if (error)
        return complain_error("capture", error);
    if (!write_heads(capture))
        return complain(PIGCTL_REFUSED, "capture: writing: %s", strerror(errno));
    return PIGCTL_DONE;
}

/* [-n NIC] [-w FILE] [-c N] [--drops | --no-drops] [EXPRESSION] */
static int options(struct capture *capture, const char **file, int *count, char ***words)
{
    bool any = false;
    for (; *count && **words[0] == '-'; ++*words, --*count) {
        const char *word = **words;
        uint64_t number;
        if (strcmp(word, "--drops") == 0) {
            capture->frames = false;
            continue;
        }
        if (strcmp(word, "--no-drops") == 0) {
            capture->drops = false;
            continue;
        }
        if (*count < 2)
            return complain_word(capture->session, word);
        const char *value = (*words)[1];
        if (strcmp(word, "-w") == 0) {
            *file = value;
        } else if (strcmp(word, "-c") == 0 && parse_number(value, UINT32_MAX, &number)) {
            capture->limit = number;
        } else if (strcmp(word, "-n") == 0 && strncmp(value, "nic", 3) == 0 &&
                   parse_number(value + 3, NICS_MOST - 1, &number)) {
            capture->chosen[number] = any = true;
        } else {
            return complain_word(capture->session, word);
        }
        ++*words, --*count;
    }
    for (unsigned i = 0; i < NICS_MOST && !any; i++)
        capture->chosen[i] = true;
    return PIGCTL_DONE;
}

int capture(struct session *session, int count, char **words)
{
    struct capture capture = {
        .session = session, .to = stdout, .frames = true, .drops = true, .limit = UINT64_MAX};
    const char *file = "-";
    int code = options(&capture, &file, &count, &words);
    if (code == PIGCTL_DONE && count)
        code = filter_compile(session, count, words, &capture.filter);
    if (code != PIGCTL_DONE)
        return code;
    capture.filtered = count != 0;
    if (strcmp(file, "-") != 0)
        capture.to = fopen(file, "we");
    if (!capture.to)
        return complain(PIGCTL_REFUSED, "capture: %s: %s", file, strerror(errno));
    if (isatty(fileno(capture.to)))
        return complain(PIGCTL_USAGE,
                        "capture: give -w FILE, or a pipe: pigctl capture | tshark -r -");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    int error = piglet_read_table(session->piglet, PIGLET_OP_STATUS_READ, 0, status_row, &capture);
    if (error)
        return complain_error("capture", error);
    code = capture_begin(&capture);
    if (code == PIGCTL_DONE)
        code = take_all(&capture);
    if (capture.to != stdout && fclose(capture.to) != 0 && code == PIGCTL_DONE)
        code = complain(PIGCTL_REFUSED, "capture: %s: %s", file, strerror(errno));
    if (capture.filtered)
        pcap_freecode(&capture.filter);
    fprintf(stderr, "%" PRIu64 " frames captured\n", capture.written);
    return code;
}

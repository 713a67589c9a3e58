/* Frames between clients and a host on the wire; all but the first case need that host's part. */
#include "tests/client/live.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAGES = 65, SMALL_PAGES = 2, SMALL_SLOTS = 2, UDP = 17, BATCH = 16 };
enum { DATAGRAMS = 1000, FLOOD = 100, PAYLOAD_MAX = 1472 };

static void open_port(struct piglet *piglet, unsigned pages, uint16_t port,
                      struct piglet_frameset *frameset)
{
    live_error(piglet_frameset_open(piglet, pages, pages, frameset), 0, "opening a frameset");
    live_error(CALL(piglet, BIND_PORT, CAP(frameset->capability), NUM(port)), 0, "Bind_Port");
    live_error(CALL(piglet, FRAMESET_START, CAP(frameset->capability)), 0, "Frameset_Start");
}

static uint32_t load(const uint32_t *place)
{
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

/* Until the kernel has sent all. */
static void drain(const struct piglet_frameset *frameset)
{
    uint64_t start_us = live_now_us();
    while (load(&frameset->tx->consumed) != load(&frameset->tx->produced)) {
        CHECK(live_now_us() - start_us < LIVE_WAIT_US, "frames stay in the transmit ring");
        usleep(100);
    }
}

static void check_counts(const struct piglet_frameset *frameset, unsigned frames)
{
    struct piglet_client_entry entry;
    live_client(live.two, live_number(live.one), &entry);
    CHECK(entry.rx_frames == frames && entry.tx_frames == frames && entry.dropped == 0 &&
              entry.refused == 0,
          "%u frames in, %u out, %u dropped, %u refused", (unsigned)entry.rx_frames,
          (unsigned)entry.tx_frames, (unsigned)entry.dropped, (unsigned)entry.refused);
    CHECK(frameset->rx->dropped == 0 && frameset->tx->refused == 0, "the rings count losses");
}

/* ---- echo ---------------------------------------------------------------------------------------- */

/* Sends so many datagrams back to where they come from. */
static void echo_datagrams(struct piglet_frameset *frameset, unsigned count)
{
    struct piglet_view in[BATCH], out[BATCH];
    for (unsigned done = 0; done < count;) {
        live_error(piglet_receive_wait(frameset, LIVE_WAIT_US), 0, "waiting for a datagram");
        unsigned got = piglet_receive(frameset, in, BATCH);
        CHECK(piglet_send_slots(frameset, out, got) == got, "the transmit ring is full");
        for (unsigned i = 0; i < got; i++) {
            out[i].frame.length = in[i].frame.length;
            out[i].frame.address = in[i].frame.address;
            out[i].frame.port = in[i].frame.port;
            memcpy(out[i].data, in[i].data, in[i].frame.length);
        }
        live_error(piglet_send(frameset, out, got), 0, "sending");
        piglet_receive_done(frameset);
        done += got;
    }
    drain(frameset);
}

static void echo(void)
{
    struct piglet_frameset frameset;
    open_port(live.one, PAGES, LIVE_PORT, &frameset);
    live_ready();
    echo_datagrams(&frameset, DATAGRAMS);
    check_counts(&frameset, DATAGRAMS);
}

/* ---- sending -------------------------------------------------------------------------------------- */

static void fill(struct piglet_view *view, unsigned number)
{
    view->frame.length = 4 + number * 37 % (PAYLOAD_MAX - 3);
    memset(view->data, (int)(number % 251), view->frame.length);
    memcpy(view->data, &number, sizeof number);
}

/* Whether a datagram is the one that fill made. */
static bool is_filled(const struct piglet_view *view, unsigned number)
{
    unsigned is;
    memcpy(&is, view->data, sizeof is);
    if (is != number || view->frame.length != 4 + number * 37 % (PAYLOAD_MAX - 3))
        return false;
    for (unsigned i = 4; i < view->frame.length; i++)
        if (view->data[i] != number % 251)
            return false;
    return view->frame.address == LIVE_HOST && view->frame.port == LIVE_HOST_PORT;
}

/* To a peer that sends them back; BATCH under way at a time. */
static void send_to_host(void)
{
    struct piglet_frameset frameset;
    struct piglet_view views[BATCH];
    live_error(piglet_frameset_open(live.one, PAGES, PAGES, &frameset), 0, "opening a frameset");
    const struct live_row start[] = {
        ROW(SET_PEER, CAP(frameset.capability), NUM(LIVE_HOST), NUM(LIVE_HOST_PORT), NUM(UDP)),
        ROW(BIND_PORT, CAP(frameset.capability), NUM(0)),
        ROW(FRAMESET_START, CAP(frameset.capability)),
    };
    struct live_ran ran = live_run(live.one, start, COUNT_OF(start), PIGLET_ATOMIC);
    live_error(ran.event.error, 0, "starting it");
    live_ready();
    for (unsigned sent = 0, received = 0; received < DATAGRAMS;) {
        unsigned count = sent < DATAGRAMS ? BATCH - (sent - received) : 0;
        count = count < DATAGRAMS - sent ? count : DATAGRAMS - sent;
        CHECK(piglet_send_slots(&frameset, views, count) == count, "the transmit ring is full");
        for (unsigned i = 0; i < count; i++)
            fill(&views[i], sent + i);
        live_error(count ? piglet_send(&frameset, views, count) : 0, 0, "sending");
        sent += count;
        live_error(piglet_receive_wait(&frameset, LIVE_WAIT_US), 0, "waiting for an answer");
        unsigned got = piglet_receive(&frameset, views, BATCH);
        for (unsigned i = 0; i < got; i++)
            CHECK(is_filled(&views[i], received + i), "answer %u is another", received + i);
        piglet_receive_done(&frameset);
        received += got;
    }
    check_counts(&frameset, DATAGRAMS);
}

/* ---- a client that does not take its frames ------------------------------------------------------------ */

/* FLOOD datagrams come for client two, who has room for two; and as many for one, who echoes them. */
static void slow(void)
{
    struct piglet_frameset quick, idle;
    struct piglet_view views[BATCH];
    struct piglet_client_entry entry;
    live_error(piglet_reopen(live.two), 0, "reopening client two");
    open_port(live.one, PAGES, LIVE_PORT, &quick);
    open_port(live.two, SMALL_PAGES, LIVE_PORT + 1, &idle);
    uint64_t before = live_counter("drop.client-full");
    live_ready();
    echo_datagrams(&quick, FLOOD);
    check_counts(&quick, FLOOD);
    uint64_t lost = live_counter("drop.client-full") - before;
    CHECK(lost == FLOOD - SMALL_SLOTS, "client-full counts %u", (unsigned)lost);
    live_client(live.two, live_number(live.two), &entry);
    CHECK(entry.dropped == lost && idle.rx->dropped == lost, "%u and %u dropped",
          (unsigned)entry.dropped, (unsigned)idle.rx->dropped);
    CHECK(piglet_receive(&idle, views, BATCH) == SMALL_SLOTS, "the first two are not there");
    piglet_receive_done(&idle);
    live_error(piglet_reopen(live.two), 0, "reopening client two");
}

/* ---- without a host --------------------------------------------------------------------------------- */

/* One port, one owner; free again when that one's frameset goes. */
static void one_port(void)
{
    struct piglet_frameset first, second;
    open_port(live.one, SMALL_PAGES, LIVE_PORT, &first);
    live_error(piglet_frameset_open(live.two, SMALL_PAGES, SMALL_PAGES, &second), 0,
               "a second one");
    live_error(CALL(live.two, BIND_PORT, CAP(second.capability), NUM(LIVE_PORT)), ERR_EXISTS,
               "the other client, the same port");
    live_error(piglet_frameset_close(&first), 0, "closing the first");
    live_error(CALL(live.two, BIND_PORT, CAP(second.capability), NUM(LIVE_PORT)), 0,
               "the other client, now");
    live_error(piglet_frameset_close(&second), 0, "closing the second");
}

const struct live_case live_frame_cases[] = {
    {"frames-one-port", one_port, false},
    {"frames-echo", echo, true},
    {"frames-send", send_to_host, true},
    {"frames-slow-client", slow, true},
    {NULL, NULL, false},
};

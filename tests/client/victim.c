/* A client that is about to be killed: takes and gives back everything there is, as fast as it can, without
 * waiting, until it is. */
#define _DEFAULT_SOURCE /* usleep */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "piglet.h"

enum { PAGES = 4, FRAMES = 8 };

struct victim {
    struct piglet *piglet;
    struct piglet_frameset frameset[8];
    uint32_t capability[64]; /* of whatever */
    unsigned results;
};

static struct piglet_argument some_capability(const struct victim *victim)
{
    return piglet_capability(victim->capability[(unsigned)rand() % 64]);
}

/* A packet path of one of the kinds there are, in one chain. */
static void chain_frameset(struct piglet_chain *chain)
{
    int transmit = piglet_chain_alloc_mem(chain, PAGES),
        receive = piglet_chain_alloc_mem(chain, PAGES);
    int made =
        piglet_chain_make_frameset(chain, piglet_reference(transmit), piglet_reference(receive));
    struct piglet_argument frameset = piglet_reference(made);
    switch (rand() % 5) {
    case 0:
        piglet_chain_bind_port(chain, frameset, 0);
        break;
    case 1:
        piglet_chain_bind_port(chain, frameset, (uint16_t)(1000 + rand() % 8));
        break;
    case 2:
        piglet_chain_set_peer(chain, frameset, 0, 0, 253);
        break;
    case 3:
        piglet_chain_join(chain, frameset, 0, 0x02aa00000000ull + (unsigned)rand() % 4);
        break;
    default:
        piglet_chain_capture(chain, frameset, 0);
        break;
    }
    piglet_chain_frameset_start(chain, frameset);
}

static void chain_names(const struct victim *victim, struct piglet_chain *chain)
{
    int memory = piglet_chain_alloc_mem(chain, 1);
    int copy = piglet_chain_cap_copy(chain, piglet_reference(memory), PIGLET_RIGHT_ALL);
    piglet_chain_cap_copy(chain, piglet_reference(copy), PIGLET_RIGHT_USE);
    if (rand() & 1)
        piglet_chain_cap_revoke(chain, piglet_reference(memory));
    if (rand() & 1)
        piglet_chain_free_mem(chain, some_capability(victim));
    else
        piglet_chain_cap_drop(chain, some_capability(victim));
}

static void chain_post(struct victim *victim)
{
    struct piglet_chain chain;
    if (piglet_chain_begin(victim->piglet, &chain, rand() & 1 ? PIGLET_ATOMIC : 0))
        return;
    switch (rand() % 4) {
    case 0:
        chain_frameset(&chain);
        break;
    case 1:
        chain_names(victim, &chain);
        break;
    case 2:
        piglet_chain_timer_start(&chain, (unsigned)rand() % 3000, (unsigned)rand() % 3000 + 100);
        break;
    default:
        piglet_chain_cap_drop(&chain, some_capability(victim));
        break;
    }
    if (rand() % 8 == 0)
        piglet_chain_event(&chain);
    piglet_post(&chain);
}

/* Framesets of the library's, to send with. */
static void frames_move(struct victim *victim)
{
    struct piglet_frameset *frameset = &victim->frameset[rand() % 8];
    struct piglet_view view[FRAMES];
    if (!frameset->piglet) {
        struct piglet_chain chain;
        if (piglet_frameset_open(victim->piglet, PAGES, PAGES, frameset) ||
            piglet_chain_begin(victim->piglet, &chain, 0)) {
            memset(frameset, 0, sizeof *frameset);
            return;
        }
        piglet_chain_set_peer(&chain, piglet_capability(frameset->capability),
                              PIGLET_IPV4(10, 0, 0, 1), 0, 253);
        piglet_chain_frameset_start(&chain, piglet_capability(frameset->capability));
        piglet_post(&chain);
    }
    unsigned count = piglet_send_slots(frameset, view, FRAMES);
    for (unsigned i = 0; i < count; i++)
        view[i].frame.length = (unsigned)rand() % 1400 + 1;
    piglet_send(frameset, view, count);
    while (piglet_receive(frameset, view, FRAMES))
        piglet_receive_done(frameset);
}

static void events_take(struct victim *victim)
{
    struct piglet_event event;
    while (piglet_next_event(victim->piglet, 0, &event) == 0)
        if (event.result)
            victim->capability[victim->results++ % 64] = piglet_result_capability(event.result);
}

int main(int argc, char **argv)
{
    struct victim victim = {.piglet = NULL};
    int error;
    if (argc != 3) {
        fprintf(stderr, "usage: victim WHERE SEED\n");
        return 2;
    }
    srand((unsigned)atoi(argv[2]));
    victim.piglet = piglet_open(argv[1], "victim", &error);
    if (!victim.piglet) {
        fprintf(stderr, "victim: %s\n", piglet_error_text(error));
        return 1;
    }
    printf("attached\n");
    fflush(stdout);
    while (piglet_alive(victim.piglet)) {
        for (unsigned i = 0; i < 8; i++)
            chain_post(&victim);
        frames_move(&victim);
        events_take(&victim);
        usleep((unsigned)rand() % 200);
    }
    return 0;
}

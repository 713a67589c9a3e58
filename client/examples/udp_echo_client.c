/* Sends datagrams to an echo server, one by one, and times what comes back.
 * `udp_echo_client A.B.C.D PORT [COUNT [unix:PATH | shm:FILE]]` */
#include <piglet/piglet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGES = 9, UDP = 17, ANSWER_US = 1000000 };

static const char greeting[] = "oink";

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A frameset to one peer, from a port that is free. */
static int connect_to(struct piglet *piglet, uint32_t address, uint16_t port,
                      struct piglet_frameset *frameset)
{
    struct piglet_chain chain;
    int error = piglet_frameset_open(piglet, PAGES, PAGES, frameset);
    if (error)
        return error;
    struct piglet_argument self = piglet_capability(frameset->capability);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    piglet_chain_set_peer(&chain, self, address, port, UDP);
    piglet_chain_bind_port(&chain, self, 0);
    piglet_chain_frameset_start(&chain, self);
    return piglet_wait(piglet, piglet_post(&chain), 1000000, NULL);
}

static int ask(struct piglet_frameset *frameset, double *took_us)
{
    struct piglet_view view;
    double began = now_us();
    if (piglet_send_slots(frameset, &view, 1) == 0)
        return ERR_FULL;
    view.frame.length = sizeof greeting;
    memcpy(view.data, greeting, sizeof greeting);
    int error = piglet_send(frameset, &view, 1);
    if (!error)
        error = piglet_receive_wait(frameset, ANSWER_US);
    if (error)
        return error;
    piglet_receive(frameset, &view, 1);
    *took_us = now_us() - began;
    bool same =
        view.frame.length == sizeof greeting && !memcmp(view.data, greeting, sizeof greeting);
    piglet_receive_done(frameset);
    return same ? 0 : ERR_INVALID;
}

int main(int argc, char **argv)
{
    struct piglet_frameset frameset;
    unsigned byte[4];
    double took_us;
    int error;
    if (argc < 3 || sscanf(argv[1], "%u.%u.%u.%u", &byte[0], &byte[1], &byte[2], &byte[3]) != 4) {
        fprintf(stderr, "usage: udp_echo_client A.B.C.D PORT [COUNT [unix:PATH | shm:FILE]]\n");
        return 2;
    }
    struct piglet *piglet = piglet_open(argc > 4 ? argv[4] : NULL, "udp_echo_client", &error);
    if (piglet)
        error = connect_to(piglet, PIGLET_IPV4(byte[0], byte[1], byte[2], byte[3]),
                           (uint16_t)atoi(argv[2]), &frameset);
    for (int i = 0; !error && i < (argc > 3 ? atoi(argv[3]) : 4); i++) {
        error = ask(&frameset, &took_us);
        if (!error)
            printf("%zu bytes from %s: %.1f us\n", sizeof greeting, argv[1], took_us);
    }
    if (error)
        fprintf(stderr, "udp_echo_client: %s\n", piglet_error_text(error));
    piglet_close(piglet);
    return error ? 1 : 0;
}

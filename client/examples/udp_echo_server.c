/* Sends every datagram back to where it came from. `udp_echo_server PORT [unix:PATH | shm:FILE]` */
#include <piglet/piglet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 65, BATCH = 64, UDP = 17 };

/* A frameset for whatever comes to the port. */
static int serve(struct piglet *piglet, uint16_t port, struct piglet_frameset *frameset)
{
    struct piglet_chain chain;
    int error = piglet_frameset_open(piglet, PAGES, PAGES, frameset);
    if (error)
        return error;
    struct piglet_argument self = piglet_capability(frameset->capability);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    piglet_chain_set_peer(&chain, self, 0, 0, UDP);
    piglet_chain_bind_port(&chain, self, port);
    piglet_chain_frameset_start(&chain, self);
    return piglet_wait(piglet, piglet_post(&chain), 1000000, NULL);
}

/* One batch; what finds no place to be sent from is lost, as datagrams may be. */
static int echo(struct piglet_frameset *frameset)
{
    struct piglet_view in[BATCH], out[BATCH];
    unsigned received = piglet_receive(frameset, in, BATCH);
    unsigned count = piglet_send_slots(frameset, out, received);
    for (unsigned i = 0; i < count; i++) {
        out[i].frame.length = in[i].frame.length;
        out[i].frame.address = in[i].frame.address;
        out[i].frame.port = in[i].frame.port;
        memcpy(out[i].data, in[i].data, in[i].frame.length);
    }
    piglet_receive_done(frameset);
    return piglet_send(frameset, out, count);
}

int main(int argc, char **argv)
{
    struct piglet_frameset frameset;
    int error = ERR_ARGUMENT;
    if (argc < 2) {
        fprintf(stderr, "usage: udp_echo_server PORT [unix:PATH | shm:FILE]\n");
        return 2;
    }
    struct piglet *piglet = piglet_open(argc > 2 ? argv[2] : NULL, "udp_echo_server", &error);
    if (piglet)
        error = serve(piglet, (uint16_t)atoi(argv[1]), &frameset);
    while (!error) {
        error = piglet_receive_wait(&frameset, PIGLET_FOREVER);
        if (!error)
            error = echo(&frameset);
    }
    fprintf(stderr, "udp_echo_server: %s\n", piglet_error_text(error));
    piglet_close(piglet);
    return 1;
}

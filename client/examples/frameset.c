/* The original chain: two memories and a frameset of them, with a peer, posted as one before any of
 * it has run. `frameset [unix:PATH | shm:FILE]` prints each request and what became of it. */
#include <piglet/piglet.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int error;
    struct piglet *piglet = piglet_open(argc > 1 ? argv[1] : NULL, "frameset", &error);
    if (!piglet) {
        fprintf(stderr, "frameset: no Piglet: %s\n", piglet_error_text(error));
        return 1;
    }

    struct piglet_chain chain;
    piglet_chain_begin(piglet, &chain, 0);
    int tx = piglet_chain_alloc_mem(&chain, 12);
    int rx = piglet_chain_alloc_mem(&chain, 12);
    int fs = piglet_chain_make_frameset(&chain, piglet_reference(tx), piglet_reference(rx));
    int last =
        piglet_chain_set_peer(&chain, piglet_reference(fs), PIGLET_IPV4(192, 168, 0, 1), 0, 0);

    int64_t number = piglet_post(&chain);
    error = piglet_wait(piglet, number, 1000000, NULL);
    for (int i = 1; i <= last; i++) {
        struct piglet_request request;
        char text[160];
        if (piglet_request(piglet, number, i, &request) < 0)
            break;
        piglet_request_text(&request, text, sizeof text);
        printf("%d  %s\n", i, text);
    }
    if (error)
        fprintf(stderr, "frameset: %s\n", piglet_error_text(error));
    piglet_close(piglet);
    return error ? 1 : 0;
}

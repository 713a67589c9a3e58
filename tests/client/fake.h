/* A kernel of 150 lines for testing libpiglet against: a thread behind a window in a file. */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/piglet.h"

enum { FAKE_BYTES = 256 << 10, FAKE_POSTS = 8, FAKE_REQUESTS = 128, FAKE_EVENTS = 16 };

/* It runs Nop, Echo, Alloc_Mem, Make_Frameset (whose frames come back), Counter_Read of FAKE_COUNTERS
 * and Address_List, which never ends; Barrier fails with ERR_DENIED, all else with ERR_UNSUPPORTED. */
enum { FAKE_COUNTERS = 70 };

struct fake {
    char path[64], where[80];
    uint8_t *memory;
    struct piglet_window *window;
    pthread_t thread;
    bool stop; /* atomic */
    bool hold; /* atomic: chains wait */
    int fd;    /* of the file */
    int wake;  /* where a client that sleeps is woken; 0: nowhere */
    uint32_t features;
    uint64_t boot;
    uint32_t chains, events, pages;
    struct piglet_ring *tx, *rx;
};

/* Makes the file and the thread; again, as a kernel that restarted, after fake_stop. */
void fake_start(struct fake *fake);
void fake_stop(struct fake *fake);
void fake_remove(struct fake *fake);

#endif

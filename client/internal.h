/* What the files of libpiglet share. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <pthread.h>

#include "piglet.h"

/* A chain that was posted, at its post slot. */
struct posted {
    uint32_t number;
    uint32_t first; /* its second request lies at first % request_count, the others behind it */
    uint32_t end;   /* one past its last */
    uint8_t count;  /* requests, with the first; 0: this slot holds no chain whose results last */
    bool running;   /* its event has not come */
};

struct piglet {
    /* What posting and taking events touch. */
    struct piglet_window *window; /* NULL: not attached */
    struct piglet_request *post, *request;
    struct piglet_request first; /* of the chain being built: goes into its slot when posted */
    const struct piglet_event *event;
    uint32_t post_count, request_count, event_count;

    uint32_t turn;    /* of chains begun */
    uint32_t posted;  /* number of the last chain */
    uint32_t oldest;  /* of the first that may still run */
    uint32_t head;    /* requests used, over all chains; the next lies at head % request_count */
    uint32_t tail;    /* requests before this one are free */
    uint32_t written; /* one past the furthest request ever written to */
    struct posted *chain; /* post_count of them */

    uint32_t taken;             /* number of the last event taken from the ring */
    struct piglet_event *queue; /* taken, and kept for piglet_next_event */
    uint32_t queue_room, queue_head, queue_tail;

    struct piglet_bell *bell; /* NULL: window->bell */
    uint32_t client;
    uint32_t table_memory; /* capability of a page that tables are read through; 0: none yet */
    uint64_t table_offset;

    /* What attaching needs. */
    int window_fd, bell_fd, kernel_fd, wake_fd, socket_fd;
    size_t bytes;
    uint64_t boot;
    uint32_t attach;
    uint32_t beat;         /* the kernel's heartbeat when it was last seen to move, */
    uint64_t beat_time_us; /* and when that was */
    uint64_t data_offset, data_bytes;
    bool beating; /* the heartbeat's thread runs */
    pthread_t beating_thread;
    pthread_mutex_t beating_lock;
    pthread_cond_t beating_stop;
    char *where, name[PIGLET_NAME_MAX];
};

/* connect.c: from a name to a mapped window, and back. */
int piglet_connect(struct piglet *piglet, const char *where, uint64_t patience_us);
void piglet_disconnect(struct piglet *piglet);

/* event.c */
uint64_t piglet_now_us(void);

/* Takes what has come from the ring into the queue, as far as there is room. */
void piglet_settle(struct piglet *piglet);

/* Asks until it says 1, or an error: first often, then with sleep between. */
typedef int piglet_ready_function(struct piglet *piglet, void *what);
int piglet_wait_until(struct piglet *piglet, piglet_ready_function *ready, void *what,
                      int64_t timeout_us);

/* chain.c: tells the kernel that there is something to look at, whether it looks or not. */
void piglet_ring(struct piglet *piglet);

/* After what was published by a store: the kernel that does not look by itself is told. The fence
 * pairs with the kernel's, between clearing `polled` and looking for the last time: one of the two
 * sees the other's store. */
static inline void piglet_ring_if_needed(struct piglet *piglet)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&piglet->window->polled, __ATOMIC_RELAXED))
        piglet_ring(piglet);
}

#endif

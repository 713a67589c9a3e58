/* Building chains in the window, posting them, and looking at what became of them. */
#include "internal.h"

#include <string.h>
#include <unistd.h>

/* ---- the bell ------------------------------------------------------------------------------- */

void piglet_ring(struct piglet *piglet)
{
    struct piglet_bell *bell = piglet->bell;
    if (!bell) {
        uint32_t *own = &piglet->window->bell;
        __atomic_store_n(own, *own + 1, __ATOMIC_RELEASE);
        return;
    }
    unsigned word = piglet->client / 64;
    __atomic_fetch_or(&bell->word[word], 1ull << (piglet->client % 64), __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&bell->summary, 1ull << word, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&bell->asleep, __ATOMIC_SEQ_CST)) {
        uint64_t one = 1;
        /* It fails only when it was rung 2^64 times already, and then it is awake. */
        if (write(piglet->kernel_fd, &one, sizeof one) < 0)
            return;
    }
}

/* ---- building ------------------------------------------------------------------------------- */

static struct posted *posted_slot(const struct piglet *piglet, uint32_t number)
{
    return &piglet->chain[(number - 1) & (piglet->post_count - 1)];
}

static int chain_failed(struct piglet_chain *chain, int error)
{
    if (!chain->error)
        chain->error = error;
    return error;
}

int piglet_chain_begin(struct piglet *piglet, struct piglet_chain *chain, unsigned flags)
{
    *chain = (struct piglet_chain){.piglet = piglet, .turn = ++piglet->turn, .flags = flags};
    if (!piglet->window)
        return chain_failed(chain, ERR_CANCELLED);
    if (flags & ~(unsigned)PIGLET_ATOMIC)
        return chain_failed(chain, ERR_ARGUMENT);
    struct posted *posted = posted_slot(piglet, piglet->posted + 1);
    if (posted->running)
        piglet_settle(piglet);
    if (posted->running)
        return chain_failed(chain, ERR_FULL);
    posted->count = 0; /* its first request is about to be written over */
    chain->system = piglet->window->system;
    return 0;
}

/* The place of the chain's next request; NULL: an error. */
static struct piglet_request *chain_place(struct piglet *piglet, struct piglet_chain *chain)
{
    if (chain->count == 0)
        return &piglet->first;
    uint32_t at = piglet->head + chain->count - 1;
    if (at - piglet->tail >= piglet->request_count)
        piglet_settle(piglet);
    if (at - piglet->tail >= piglet->request_count)
        return NULL;
    if ((int32_t)(at + 1 - piglet->written) > 0)
        piglet->written = at + 1;
    uint32_t mask = piglet->request_count - 1;
    chain->last->next = (uint16_t)(at & mask);
    /* The kernel wrote a status there last: have the line here by the time it is wanted. */
    __builtin_prefetch(&piglet->request[(at + 2) & mask], 1);
    return &piglet->request[at & mask];
}

/* Whether an argument is one that a request of this number may have. */
static bool argument_valid(struct piglet_argument argument, unsigned number)
{
    if (argument.tag == PIGLET_TAG_REFERENCE)
        return argument.value - 1 < number - 1;
    return argument.tag < PIGLET_TAG_COUNT;
}

int piglet_chain_add(struct piglet_chain *chain, unsigned opcode, struct piglet_argument a1,
                     struct piglet_argument a2, struct piglet_argument a3,
                     struct piglet_argument a4)
{
    struct piglet *piglet = chain->piglet;
    unsigned number = chain->count + 1;
    if (chain->error)
        return chain->error;
    if (chain->turn != piglet->turn)
        return chain_failed(chain, ERR_BUSY);
    if (number > PIGLET_CHAIN_MAX)
        return chain_failed(chain, ERR_LIMIT);
    if (opcode > UINT8_MAX || !argument_valid(a1, number) || !argument_valid(a2, number) ||
        !argument_valid(a3, number) || !argument_valid(a4, number))
        return chain_failed(chain, ERR_ARGUMENT);
    struct piglet_request *request = chain_place(piglet, chain);
    if (!request)
        return chain_failed(chain, ERR_FULL);
    request->opcode = (uint8_t)opcode;
    request->flags = number == 1 ? (uint8_t)chain->flags : 0;
    request->next = PIGLET_NEXT_NONE;
    request->tag[0] = a1.tag;
    request->tag[1] = a2.tag;
    request->tag[2] = a3.tag;
    request->tag[3] = a4.tag;
    request->argument[0] = a1.value;
    request->argument[1] = a2.value;
    request->argument[2] = a3.value;
    request->argument[3] = a4.value;
    request->cookie = 0;
    chain->last = request;
    chain->count = number;
    return (int)number;
}

/* What must be so before the request added last is changed. */
static int chain_last(struct piglet_chain *chain)
{
    if (chain->error)
        return chain->error;
    if (chain->turn != chain->piglet->turn)
        return chain_failed(chain, ERR_BUSY);
    return chain->count ? 0 : chain_failed(chain, ERR_ARGUMENT);
}

int piglet_chain_cookie(struct piglet_chain *chain, uint64_t cookie)
{
    int error = chain_last(chain);
    if (!error)
        chain->last->cookie = cookie;
    return error;
}

int piglet_chain_event(struct piglet_chain *chain)
{
    int error = chain_last(chain);
    if (!error)
        chain->last->flags |= PIGLET_EVENT;
    return error;
}

/* ---- posting -------------------------------------------------------------------------------- */

/* The kernel looks at this line all the time. Written piece by piece while the chain was built, it would
 * go to and fro between the cores with each look; so it is written at one go, `post` last. */
static void post_store(struct piglet_request *shared, struct piglet_request *first, uint32_t number)
{
    uint64_t word[sizeof *first / sizeof(uint64_t)], *to = (uint64_t *)(void *)shared;
    first->post = number;
    memcpy(word, first, sizeof word);
    for (unsigned i = sizeof word / sizeof word[0] - 2; i > 1; i--) /* not result, the kernel's */
        __atomic_store_n(&to[i], word[i], __ATOMIC_RELAXED);
    memcpy(shared->tag, first->tag, sizeof first->tag);
    __atomic_store_n(&to[0], word[0], __ATOMIC_RELEASE);
}

int64_t piglet_post(struct piglet_chain *chain)
{
    struct piglet *piglet = chain->piglet;
    int error = chain_last(chain);
    if (error)
        return error;
    uint32_t number = piglet->posted + 1;
    struct posted *posted = posted_slot(piglet, number);
    posted->number = number;
    posted->first = piglet->head;
    posted->count = (uint8_t)chain->count;
    posted->running = true;
    piglet->head += chain->count - 1;
    posted->end = piglet->head;
    post_store(&piglet->post[(number - 1) & (piglet->post_count - 1)], &piglet->first, number);
    piglet_ring_if_needed(piglet);
    piglet->posted = number;
    piglet->turn++; /* the chain is not the caller's any longer */
    return number;
}

void piglet_cancel(struct piglet *piglet, uint32_t up_to)
{
    if (!piglet->window)
        return;
    __atomic_store_n(&piglet->window->cancel, up_to, __ATOMIC_RELEASE);
    piglet_ring_if_needed(piglet);
}

/* ---- results -------------------------------------------------------------------------------- */

/* Where a request of an ended chain lies. */
static int request_find(const struct piglet *piglet, int64_t number, int request,
                        const struct piglet_request **found)
{
    if (!piglet->window)
        return ERR_CANCELLED;
    const struct posted *posted = posted_slot(piglet, (uint32_t)number);
    if (number < 0 || posted->number != (uint32_t)number || posted->count == 0 || request < 1 ||
        request > posted->count)
        return ERR_NOT_FOUND;
    if (posted->running)
        return ERR_BUSY;
    if (request == 1) {
        *found = &piglet->post[((uint32_t)number - 1) & (piglet->post_count - 1)];
        return 0;
    }
    uint32_t at = posted->first + (uint32_t)request - 2;
    if (piglet->written - at > piglet->request_count)
        return ERR_NOT_FOUND;
    *found = &piglet->request[at & (piglet->request_count - 1)];
    return 0;
}

int piglet_request(const struct piglet *piglet, int64_t number, int request,
                   struct piglet_request *copy)
{
    const struct piglet_request *found;
    int error = request_find(piglet, number, request, &found);
    if (!error)
        *copy = *found;
    return error;
}

int piglet_result(const struct piglet *piglet, int64_t number, int request, uint64_t *result,
                  struct piglet_status *status)
{
    const struct piglet_request *found;
    int error = request_find(piglet, number, request, &found);
    if (error)
        return error;
    if (result)
        *result = found->result;
    if (status)
        *status = found->status;
    return 0;
}

int piglet_call(struct piglet *piglet, unsigned opcode, struct piglet_argument a1,
                struct piglet_argument a2, struct piglet_argument a3, struct piglet_argument a4,
                uint64_t *result)
{
    enum { CALL_US = 5000000 }; /* a request is bounded work: this long only a stuck kernel takes */
    struct piglet_chain chain;
    struct piglet_event event;
    piglet_chain_begin(piglet, &chain, 0);
    piglet_chain_add(&chain, opcode, a1, a2, a3, a4);
    int error = piglet_wait(piglet, piglet_post(&chain), CALL_US, &event);
    if (result)
        *result = event.result;
    return error;
}

/* The recipes. */
#include "tests/fuzz/recipes.h"

#define MAKE_FRAMESET                                                                              \
    {PIGLET_OP_ALLOC_MEM, 0, 0, 1}, {PIGLET_OP_ALLOC_MEM, 0, 0, 2},                                \
    {                                                                                              \
        PIGLET_OP_MAKE_FRAMESET, 0, 0, 1, 0                                                        \
    }
#define START                                                                                      \
    {                                                                                              \
        PIGLET_OP_FRAMESET_START, 0, 1                                                             \
    }

/* Turns, in which the chain runs; then frames to send, frames that come. */
#define TURNS          5, 3
#define SEND(form)     11, TURNS, 11, 7, 9, form, 4, 0, 60, TURNS
#define COME(to, what) 10, TURNS, 10, 0, to, 3, what, 8, TURNS

static const struct recipe recipes[] = {
    {5, {MAKE_FRAMESET, {PIGLET_OP_BIND_PORT, 0, 0, 4}, START}, {COME(0, 6)}},
    {6,
     {MAKE_FRAMESET,
      {PIGLET_OP_BIND_PORT, 0, 0, 0},
      {PIGLET_OP_SET_PEER, 0, 1, 1, 17, 5},
      {PIGLET_OP_FRAMESET_START, 0, 2}},
     {SEND(0)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_SET_PEER, 0, 0, 1, 0, 0}, START}, {SEND(17)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_SET_PEER, 0, 0, 1, 0, 17}, START}, {SEND(2)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_SET_PEER, 0, 0, 0, 1, 29}, START}, {SEND(0)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_SET_PEER, 0, 0, 0, 0, 17}, START}, {COME(0, 4)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_SET_PEER, 0, 0, 0, 1, 29}, START}, {COME(0, 5)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_JOIN, 0, 0, 0, 0, 1}, START}, {SEND(4)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_JOIN, 0, 0, 0, 0, 1}, START}, {SEND(12)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_JOIN, 0, 0, 0, 0, 5}, START}, {COME(1, 5)}},
    {5, {MAKE_FRAMESET, {PIGLET_OP_JOIN, 0, 0, 0, 0, 0}, START}, {COME(2, 5)}},
    {4, {MAKE_FRAMESET, {PIGLET_OP_FREE_MEM, 0, 1}}, {2, TURNS}},
    {3,
     {{PIGLET_OP_ALLOC_MEM, 0, 0, 1},
      {PIGLET_OP_CAP_COPY, 0, 0, 0, 127},
      {PIGLET_OP_CAP_REVOKE, 0, 1}},
     {2, TURNS}},
    {3,
     {{PIGLET_OP_ALLOC_MEM, 0, 0, 1},
      {PIGLET_OP_CAP_COPY, 0, 0, 0, 127},
      {PIGLET_OP_CAP_DROP, 0, 1}},
     {2, TURNS}},
    {3,
     {{PIGLET_OP_TIMER_START, 1, 0, 2, 9},
      {PIGLET_OP_TIMER_START, 0, 0, 3, 0},
      {PIGLET_OP_TIMER_STOP, 0, 0}},
     {6, TURNS, 6, 0x1f, TURNS}},
    {3,
     {{PIGLET_OP_ADDRESS_ADD, 0, 0, 0, 0, 0},
      {PIGLET_OP_ADDRESS_DELETE, 0, 0, 3},
      {PIGLET_OP_ADDRESS_DELETE, 0, 0, 2}},
     {2, TURNS}},
    {3,
     {{PIGLET_OP_ROUTE_ADD, 0, 0, 10, 5, 0},
      {PIGLET_OP_ROUTE_DELETE, 0, 0, 10},
      {PIGLET_OP_ADDRESS_DELETE, 0, 0, 4}},
     {2, TURNS}},
    {6,
     {{PIGLET_OP_ALLOC_MEM, 0, 0, 3},
      {PIGLET_OP_SERVICE_LIST},
      {PIGLET_OP_COUNTER_READ, 0, 0, 1},
      {PIGLET_OP_LOG_READ, 0, 0, 2},
      {PIGLET_OP_ROUTE_LIST, 0, 0, 3},
      {PIGLET_OP_CLIENT_LIST, 0, 0, 4}},
     {2, TURNS}},
    {5,
     {{PIGLET_OP_ALLOC_MEM, 0, 0, 1},
      {PIGLET_OP_SERVICE_SHOW},
      {PIGLET_OP_NIC_LIST, 0, 0, 1},
      {PIGLET_OP_ADDRESS_LIST, 0, 0, 2},
      {PIGLET_OP_STATUS_READ, 0, 0, 3}},
     {2, TURNS}},
    {3,
     {{PIGLET_OP_SERVICE_STOP, 0, 0, 1},
      {PIGLET_OP_SERVICE_START, 0, 0, 1},
      {PIGLET_OP_SERVICE_CONFIGURE, 0, 0, 1, 0, 0}},
     {2, TURNS}},
};

const struct recipe *recipe(unsigned which)
{
    return &recipes[which % (sizeof recipes / sizeof recipes[0])];
}

/* One function for each opcode: piglet_chain_add with what the opcode takes (piglet/opcode.h; what
 * they do, fail with and cost is in its table). Part of piglet/piglet.h.
 *
 * Objects are struct piglet_argument, because they may be results still to come:
 * piglet_capability(c) or piglet_reference(n). Numbers are numbers; one that is the result of an
 * earlier request needs piglet_chain_add. The system's capability is put in. All return the
 * request's number in the chain, or an error, which piglet_post will return. */
#ifndef PIGLET_REQUESTS_H
#define PIGLET_REQUESTS_H

#include "piglet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first argument of requests that ask something of the system. */
static inline struct piglet_argument piglet_chain_system(const struct piglet_chain *chain)
{
    return piglet_capability(chain->system);
}

/* ---- about chains --------------------------------------------------------------------------- */

static inline int piglet_chain_nop(struct piglet_chain *chain)
{
    return piglet_chain_add(chain, PIGLET_OP_NOP, piglet_none(), piglet_none(), piglet_none(),
                            piglet_none());
}

static inline int piglet_chain_echo(struct piglet_chain *chain, struct piglet_argument value)
{
    return piglet_chain_add(chain, PIGLET_OP_ECHO, value, piglet_none(), piglet_none(),
                            piglet_none());
}

static inline int piglet_chain_barrier(struct piglet_chain *chain)
{
    return piglet_chain_add(chain, PIGLET_OP_BARRIER, piglet_none(), piglet_none(), piglet_none(),
                            piglet_none());
}

/* ---- memory and capabilities ---------------------------------------------------------------- */

static inline int piglet_chain_alloc_mem(struct piglet_chain *chain, uint32_t pages)
{
    return piglet_chain_add(chain, PIGLET_OP_ALLOC_MEM, piglet_new(), piglet_number(pages),
                            piglet_none(), piglet_none());
}

static inline int piglet_chain_free_mem(struct piglet_chain *chain, struct piglet_argument memory)
{
    return piglet_chain_add(chain, PIGLET_OP_FREE_MEM, memory, piglet_none(), piglet_none(),
                            piglet_none());
}

/* rights: enum piglet_right. */
static inline int piglet_chain_cap_copy(struct piglet_chain *chain, struct piglet_argument original,
                                        uint32_t rights)
{
    return piglet_chain_add(chain, PIGLET_OP_CAP_COPY, piglet_new(), original,
                            piglet_number(rights), piglet_none());
}

static inline int piglet_chain_cap_drop(struct piglet_chain *chain, struct piglet_argument object)
{
    return piglet_chain_add(chain, PIGLET_OP_CAP_DROP, object, piglet_none(), piglet_none(),
                            piglet_none());
}

static inline int piglet_chain_cap_revoke(struct piglet_chain *chain, struct piglet_argument object)
{
    return piglet_chain_add(chain, PIGLET_OP_CAP_REVOKE, object, piglet_none(), piglet_none(),
                            piglet_none());
}

/* ---- framesets ------------------------------------------------------------------------------ */

static inline int piglet_chain_make_frameset(struct piglet_chain *chain,
                                             struct piglet_argument transmit,
                                             struct piglet_argument receive)
{
    return piglet_chain_add(chain, PIGLET_OP_MAKE_FRAMESET, piglet_new(), transmit, receive,
                            piglet_none());
}

/* protocol 0: whole IPv4 packets; 17: UDP; others: see Set_Peer in piglet/opcode.h. */
static inline int piglet_chain_set_peer(struct piglet_chain *chain, struct piglet_argument frameset,
                                        uint32_t address, uint16_t port, uint16_t protocol)
{
    return piglet_chain_add(chain, PIGLET_OP_SET_PEER, frameset, piglet_number(address),
                            port ? piglet_number(port) : piglet_none(),
                            protocol ? piglet_number(protocol) : piglet_none());
}

static inline int piglet_chain_frameset_start(struct piglet_chain *chain,
                                              struct piglet_argument frameset)
{
    return piglet_chain_add(chain, PIGLET_OP_FRAMESET_START, frameset, piglet_none(), piglet_none(),
                            piglet_none());
}

static inline int piglet_chain_frameset_stop(struct piglet_chain *chain,
                                             struct piglet_argument frameset)
{
    return piglet_chain_add(chain, PIGLET_OP_FRAMESET_STOP, frameset, piglet_none(), piglet_none(),
                            piglet_none());
}

/* port 0: any that is free; the result says which. */
static inline int piglet_chain_bind_port(struct piglet_chain *chain,
                                         struct piglet_argument frameset, uint16_t port)
{
    return piglet_chain_add(chain, PIGLET_OP_BIND_PORT, frameset, piglet_number(port),
                            piglet_none(), piglet_none());
}

/* A station of its own on the nic's wire, with this address: its six bytes in a number, first one
 * uppermost. */
static inline int piglet_chain_join(struct piglet_chain *chain, struct piglet_argument frameset,
                                    uint32_t nic, uint64_t mac)
{
    return piglet_chain_add(chain, PIGLET_OP_JOIN, piglet_chain_system(chain), frameset,
                            piglet_number(nic), piglet_number(mac));
}

/* A copy of all frames the nic receives and sends. */
static inline int piglet_chain_capture(struct piglet_chain *chain, struct piglet_argument frameset,
                                       uint32_t nic)
{
    return piglet_chain_add(chain, PIGLET_OP_JOIN, piglet_chain_system(chain), frameset,
                            piglet_number(nic), piglet_none());
}

/* ---- addresses and routes ------------------------------------------------------------------- */

/* gateway 0: none. */
static inline int piglet_chain_address_add(struct piglet_chain *chain, uint32_t address,
                                           unsigned length, uint32_t nic, uint32_t gateway)
{
    return piglet_chain_add(chain, PIGLET_OP_ADDRESS_ADD, piglet_chain_system(chain),
                            piglet_number((uint64_t)address << 8 | length), piglet_number(nic),
                            gateway ? piglet_number(gateway) : piglet_none());
}

static inline int piglet_chain_address_delete(struct piglet_chain *chain, uint32_t address)
{
    return piglet_chain_add(chain, PIGLET_OP_ADDRESS_DELETE, piglet_chain_system(chain),
                            piglet_number(address), piglet_none(), piglet_none());
}

/* gateway 0: on the nic's link; else nic is not looked at. */
static inline int piglet_chain_route_add(struct piglet_chain *chain, uint32_t prefix,
                                         unsigned length, uint32_t gateway, uint32_t nic)
{
    return piglet_chain_add(chain, PIGLET_OP_ROUTE_ADD, piglet_chain_system(chain),
                            piglet_number((uint64_t)prefix << 8 | length), piglet_number(gateway),
                            gateway ? piglet_none() : piglet_number(nic));
}

static inline int piglet_chain_route_delete(struct piglet_chain *chain, uint32_t prefix,
                                            unsigned length)
{
    return piglet_chain_add(chain, PIGLET_OP_ROUTE_DELETE, piglet_chain_system(chain),
                            piglet_number((uint64_t)prefix << 8 | length), piglet_none(),
                            piglet_none());
}

/* ---- services ------------------------------------------------------------------------------- */

static inline int piglet_chain_service_start(struct piglet_chain *chain, uint32_t service)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_START, piglet_chain_system(chain),
                            piglet_number(service), piglet_none(), piglet_none());
}

static inline int piglet_chain_service_stop(struct piglet_chain *chain, uint32_t service)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_STOP, piglet_chain_system(chain),
                            piglet_number(service), piglet_none(), piglet_none());
}

/* A name of so many bytes at an offset in the window's data. The result is the service's number, for
 * what takes one as an argument. */
static inline int piglet_chain_service_find(struct piglet_chain *chain, uint64_t name_offset,
                                            uint32_t name_bytes)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_FIND, piglet_chain_system(chain),
                            piglet_offset(name_offset), piglet_number(name_bytes), piglet_none());
}

/* "key=value" of so many bytes at an offset in the window's data, where it stays until the chain
 * has ended. */
static inline int piglet_chain_service_configure(struct piglet_chain *chain, uint32_t service,
                                                 uint64_t text_offset, uint32_t text_bytes)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_CONFIGURE, piglet_chain_system(chain),
                            piglet_number(service), piglet_offset(text_offset),
                            piglet_number(text_bytes));
}

/* ---- tables: piglet_read_table does all of it ----------------------------------------------- */

/* Any opcode that reads a table. first: the number it begins with; Service_Show:
 * service << 32 | first. The entries go to the memory's beginning. */
static inline int piglet_chain_read(struct piglet_chain *chain, unsigned opcode,
                                    struct piglet_argument memory, uint64_t first)
{
    return piglet_chain_add(chain, opcode, piglet_chain_system(chain), memory, piglet_number(first),
                            piglet_none());
}

static inline int piglet_chain_service_list(struct piglet_chain *chain,
                                            struct piglet_argument memory, uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_SERVICE_LIST, memory, first);
}

static inline int piglet_chain_service_show(struct piglet_chain *chain,
                                            struct piglet_argument memory, uint32_t service,
                                            uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_SERVICE_SHOW, memory,
                             (uint64_t)service << 32 | first);
}

static inline int piglet_chain_setting_list(struct piglet_chain *chain,
                                            struct piglet_argument memory, uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_SETTING_LIST, memory, first);
}

static inline int piglet_chain_counter_read(struct piglet_chain *chain,
                                            struct piglet_argument memory, uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_COUNTER_READ, memory, first);
}

static inline int piglet_chain_log_read(struct piglet_chain *chain, struct piglet_argument memory,
                                        uint64_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_LOG_READ, memory, first);
}

static inline int piglet_chain_record_read(struct piglet_chain *chain,
                                           struct piglet_argument memory, uint64_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_RECORD_READ, memory, first);
}

static inline int piglet_chain_register_read(struct piglet_chain *chain,
                                             struct piglet_argument memory, uint32_t nic,
                                             uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_REGISTER_READ, memory, (uint64_t)nic << 32 | first);
}

static inline int piglet_chain_nic_list(struct piglet_chain *chain, struct piglet_argument memory,
                                        uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_NIC_LIST, memory, first);
}

static inline int piglet_chain_address_list(struct piglet_chain *chain,
                                            struct piglet_argument memory, uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_ADDRESS_LIST, memory, first);
}

static inline int piglet_chain_route_list(struct piglet_chain *chain, struct piglet_argument memory,
                                          uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_ROUTE_LIST, memory, first);
}

static inline int piglet_chain_client_list(struct piglet_chain *chain,
                                           struct piglet_argument memory, uint32_t first)
{
    return piglet_chain_read(chain, PIGLET_OP_CLIENT_LIST, memory, first);
}

static inline int piglet_chain_status_read(struct piglet_chain *chain,
                                           struct piglet_argument memory)
{
    return piglet_chain_read(chain, PIGLET_OP_STATUS_READ, memory, 0);
}

/* ---- services' tables -------------------------------------------------------------------------- */

/* bytes of a table at the memory's beginning, and text_bytes of the text it was made from behind it
 * (0: none). The result is the load's number, for the swap. */
static inline int piglet_chain_service_load(struct piglet_chain *chain, uint32_t service,
                                            struct piglet_argument memory, uint32_t bytes,
                                            uint32_t text_bytes)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_LOAD, piglet_chain_system(chain),
                            piglet_number(service), memory,
                            piglet_number((uint64_t)text_bytes << 32 | bytes));
}

/* The text of the table in force, from a byte on. */
static inline int piglet_chain_table_read(struct piglet_chain *chain, struct piglet_argument memory,
                                          uint32_t service, uint64_t from)
{
    return piglet_chain_add(chain, PIGLET_OP_TABLE_READ, piglet_chain_system(chain), memory,
                            piglet_number(service), piglet_number(from));
}

/* 1: power off, 2: reboot, 0: neither. */
static inline int piglet_chain_system_stop(struct piglet_chain *chain, unsigned what)
{
    return piglet_chain_add(chain, PIGLET_OP_SYSTEM_STOP, piglet_chain_system(chain),
                            piglet_number(what), piglet_none(), piglet_none());
}

static inline int piglet_chain_service_swap(struct piglet_chain *chain, uint32_t service,
                                            struct piglet_argument load)
{
    return piglet_chain_add(chain, PIGLET_OP_SERVICE_SWAP, piglet_chain_system(chain),
                            piglet_number(service), load, piglet_none());
}

/* ---- timers --------------------------------------------------------------------------------- */

/* period_us 0: once. The cookie (piglet_chain_cookie) comes back in its events. */
static inline int piglet_chain_timer_start(struct piglet_chain *chain, uint64_t delay_us,
                                           uint64_t period_us)
{
    return piglet_chain_add(chain, PIGLET_OP_TIMER_START, piglet_new(), piglet_number(delay_us),
                            period_us ? piglet_number(period_us) : piglet_none(), piglet_none());
}

static inline int piglet_chain_timer_stop(struct piglet_chain *chain, struct piglet_argument timer)
{
    return piglet_chain_add(chain, PIGLET_OP_TIMER_STOP, timer, piglet_none(), piglet_none(),
                            piglet_none());
}

#ifdef __cplusplus
}
#endif

#endif

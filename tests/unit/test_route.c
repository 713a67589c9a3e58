/* Routes and addresses: the trie against a linear search, and what an address brings along. */
#include <stdlib.h>

#include "tests/unit/test.h"

static struct route_table table;
static uint64_t random_state;

static uint32_t random_number(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 2685821657736338717ull >> 32);
}

static void start(void)
{
    sim_reset();
    memset(&table, 0, sizeof table);
    assert_int_equal(route_table_start(&table), 0);
}

static uint32_t mask(unsigned length)
{
    return length ? ~0u << (32 - length) : 0;
}

/* The definition of longest-prefix match. */
static unsigned linear(uint32_t ip)
{
    unsigned best = ROUTE_NONE;
    int length = -1;
    for (unsigned i = 1; i < ROUTES_MAX; i++) {
        const struct route *route = &table.route[i];
        if (route->used && (ip & mask(route->length)) == route->prefix && route->length > length) {
            best = i;
            length = route->length;
        }
    }
    return best;
}

static void compare(unsigned lookups)
{
    for (unsigned i = 0; i < lookups; i++) {
        uint32_t ip = random_number();
        if (i % 2) { /* near a route's edges, where mistakes live */
            const struct route *route = &table.route[random_number() % ROUTES_MAX];
            ip = route->prefix + (random_number() % 5 - 2);
            if (random_number() % 2)
                ip += ~mask(route->length);
        }
        assert_int_equal(route_lookup(&table, ip), linear(ip));
    }
}

static void route_01_always_there(void **state)
{
    (void)state;
    start();
    assert_int_equal(table.route[route_lookup(&table, IP(8, 8, 8, 8))].type, ROUTE_UNREACHABLE);
    assert_int_equal(table.route[route_lookup(&table, IP(0, 0, 0, 0))].type, ROUTE_MARTIAN);
    assert_int_equal(table.route[route_lookup(&table, IP(127, 0, 0, 1))].type, ROUTE_MARTIAN);
    assert_int_equal(table.route[route_lookup(&table, IP(224, 0, 0, 1))].type, ROUTE_MULTICAST);
    assert_int_equal(table.route[route_lookup(&table, IP(239, 255, 255, 255))].type,
                     ROUTE_MULTICAST);
    assert_int_equal(table.route[route_lookup(&table, IP(240, 0, 0, 0))].type, ROUTE_MARTIAN);
    assert_int_equal(table.route[route_lookup(&table, ~0u)].type, ROUTE_BROADCAST);
}

static void route_02_like_a_linear_search(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        start();
        random_state = seed * 0x9e3779b97f4a7c15ull;
        unsigned routes = table.routes, nodes = table.nodes;
        static struct route added[600];
        unsigned count = 0;
        for (unsigned step = 0; step < 900; step++) {
            if (random_number() % 3 && count < COUNT_OF(added)) {
                unsigned length = random_number() % 33;
                /* Close together, so that prefixes lie in each other. */
                uint32_t prefix =
                    (10u << 24 | (random_number() & 0x000307ff) << (random_number() % 2 * 5)) &
                    mask(length);
                struct route route = {.prefix = prefix,
                                      .length = (uint8_t)length,
                                      .type = ROUTE_UNICAST,
                                      .gateway = step + 1};
                int error = route_add(&table, &route);
                assert_true(error == 0 || error == ERR_EXISTS);
                if (error == 0)
                    added[count++] = route;
            } else if (count) {
                unsigned victim = random_number() % count;
                assert_int_equal(route_delete(&table, added[victim].prefix, added[victim].length),
                                 0);
                added[victim] = added[--count];
            }
            if (step % 30 == 0)
                compare(300);
        }
        compare(20000);
        while (count--)
            assert_int_equal(route_delete(&table, added[count].prefix, added[count].length), 0);
        assert_int_equal(table.routes, routes);
        assert_int_equal(table.nodes, nodes);
        compare(1000);
    }
}

static void route_03_errors_change_nothing(void **state)
{
    (void)state;
    start();
    struct route route = {.prefix = IP(10, 0, 0, 1), .length = 24, .type = ROUTE_UNICAST};
    assert_int_equal(route_add(&table, &route), ERR_INVALID);
    route.length = 33;
    assert_int_equal(route_add(&table, &route), ERR_INVALID);
    assert_int_equal(route_delete(&table, IP(10, 0, 0, 0), 8), ERR_NOT_FOUND);
    route.length = 32;
    assert_int_equal(route_add(&table, &route), 0);
    assert_int_equal(route_add(&table, &route), ERR_EXISTS);
    assert_non_null(route_find(&table, IP(10, 0, 0, 1), 32));
    assert_null(route_find(&table, IP(10, 0, 0, 1), 31));
    /* Each /32 in a /16 of its own takes two nodes: they run out before the routes do. */
    unsigned added = 0;
    int error = 0;
    for (unsigned i = 0; i < ROUTES_MAX && error == 0; i++) {
        route.prefix = IP(20, 0, 0, 1) + (i << 16);
        error = route_add(&table, &route);
        added += error == 0;
    }
    assert_int_equal(error, ERR_FULL);
    compare(5000);
    for (unsigned i = 0; i < added; i++)
        assert_int_equal(route_delete(&table, IP(20, 0, 0, 1) + (i << 16), 32), 0);
    assert_int_equal(route_add(&table, &route), 0); /* all nodes came back */
    compare(5000);
}

static uint8_t type_of(uint32_t ip)
{
    return table.route[route_lookup(&table, ip)].type;
}

static void address_01_brings_its_routes(void **state)
{
    (void)state;
    start();
    unsigned routes = table.routes, nodes = table.nodes;
    assert_int_equal(address_add(&table, 1, IP(10, 0, 0, 2), 24, IP(10, 0, 0, 1)), 0);
    assert_int_equal(type_of(IP(10, 0, 0, 2)), ROUTE_LOCAL);
    assert_int_equal(type_of(IP(10, 0, 0, 255)), ROUTE_BROADCAST);
    assert_int_equal(type_of(IP(10, 0, 0, 3)), ROUTE_UNICAST);
    const struct route *far = &table.route[route_lookup(&table, IP(8, 8, 8, 8))];
    assert_int_equal(far->gateway, IP(10, 0, 0, 1));
    assert_int_equal(far->nic, 1);
    /* A second address of the subnet shares the subnet's routes, and leaves them behind. */
    assert_int_equal(address_add(&table, 1, IP(10, 0, 0, 9), 24, 0), 0);
    assert_int_equal(address_delete(&table, IP(10, 0, 0, 2)), 0);
    assert_int_equal(type_of(IP(10, 0, 0, 3)), ROUTE_UNICAST);
    assert_int_equal(type_of(IP(10, 0, 0, 2)), ROUTE_UNICAST);
    assert_int_equal(type_of(IP(8, 8, 8, 8)), ROUTE_UNREACHABLE);
    assert_int_equal(address_delete(&table, IP(10, 0, 0, 9)), 0);
    assert_int_equal(address_delete(&table, IP(10, 0, 0, 9)), ERR_NOT_FOUND);
    assert_int_equal(table.routes, routes);
    assert_int_equal(table.nodes, nodes);
}

static void address_02_refuses(void **state)
{
    (void)state;
    start();
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 0), 24, 0), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 255), 24, 0), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(127, 0, 0, 1), 8, 0), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(224, 0, 0, 1), 24, 0), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 2), 0, 0), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 2), 24, IP(10, 0, 1, 1)), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 2), 24, IP(10, 0, 0, 2)), ERR_INVALID);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 2), 31, 0), 0); /* RFC 3021 */
    assert_int_equal(address_add(&table, 0, IP(10, 0, 0, 2), 31, 0), ERR_EXISTS);
    assert_int_equal(address_add(&table, 0, IP(10, 0, 7, 7), 32, 0), 0);
    for (unsigned i = 0; i < ADDRESSES_MAX - 2; i++)
        assert_int_equal(address_add(&table, 0, IP(11, 0, (int)i, 1), 24, 0), 0);
    assert_int_equal(address_add(&table, 0, IP(12, 0, 0, 1), 24, 0), ERR_FULL);
    assert_int_equal(type_of(IP(12, 0, 0, 1)), ROUTE_UNREACHABLE);
}

static void address_03_sources_and_duplicates(void **state)
{
    (void)state;
    start();
    assert_int_equal(address_source(&table, 0, IP(10, 0, 0, 1)), 0);
    address_add(&table, 0, IP(10, 0, 0, 2), 24, 0);
    address_add(&table, 0, IP(10, 1, 0, 2), 24, 0);
    assert_int_equal(address_source(&table, 0, IP(10, 1, 0, 77)), IP(10, 1, 0, 2));
    assert_int_equal(address_source(&table, 0, IP(8, 8, 8, 8)), IP(10, 0, 0, 2));
    assert_int_equal(address_source(&table, 1, IP(10, 1, 0, 77)), 0);
    struct address *address = address_find(&table, IP(10, 0, 0, 2));
    address_set_state(&table, address, ADDRESS_DUPLICATE);
    assert_int_equal(type_of(IP(10, 0, 0, 2)), ROUTE_UNICAST);
    assert_int_equal(address_source(&table, 0, IP(8, 8, 8, 8)), IP(10, 1, 0, 2));
    address_set_state(&table, address, ADDRESS_ACTIVE);
    assert_int_equal(type_of(IP(10, 0, 0, 2)), ROUTE_LOCAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_01_always_there),
        cmocka_unit_test(route_02_like_a_linear_search),
        cmocka_unit_test(route_03_errors_change_nothing),
        cmocka_unit_test(address_01_brings_its_routes),
        cmocka_unit_test(address_02_refuses),
        cmocka_unit_test(address_03_sources_and_duplicates),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}

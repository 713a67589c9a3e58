/* Building the classifier from a table.
 *
 * 1. Each rule says which leading bits of which fields it fixes, rounded down to a grid; rules that
 *    agree in that form a group. 2. Groups are merged, the smallest first, into others that look at
 *    fewer bits, as long as no list gets longer than wanted. 3. What is left are the tuples: each
 *    gets its hash table, its rules in lists, and its bits in the pruning words. */
#include "services/firewall/lanes.h"

enum {
    GROUPS_MAX = 512,                      /* before merging; with more, the grid is made coarser */
    GROUPS_WANTED = CLASSIFIER_TUPLES_MAX, /* fewer would only make longer lists */
    LIST_WANTED = 3,                       /* rules in a list; doubled until the groups fit */
    LIST_MAX = 32,      /* but with a coarser grid before it gets longer than that */
    COUNTERS_BITS = 16, /* of list lengths while merging; a collision only prevents a merger */
    SLOTS_A_RULE = 4,   /* at least, and less than twice that */
    TRIES_MAX = 64,     /* groups that one is tried to be merged into */
    GRIDS = 3,
    GROUP_NONE = 0xffff,
    RULE_END = 0xffffffff,
};

/* A prefix of `length` bits counts as length & mask. With 16, a port counts when it is exact. */
static const struct grid {
    uint8_t address, from_port, to_port;
    bool nics;
} grids[GRIDS] = {{~3, 16 | 8 | 4, 16 | 8 | 4, true}, {~7, 16, 16, true}, {48, 0, 0, false}};

struct build_group {
    uint64_t addresses_mask, rest_mask;
    uint32_t first, last; /* of its rules, linked by next[] */
    uint32_t count;
    uint32_t best;
    bool dead; /* merged into another */
};

struct classifier_scratch {
    unsigned groups, alive;
    struct build_group group[GROUPS_MAX];
    uint16_t by_size[GROUPS_MAX];
    uint16_t hashed[2 * GROUPS_MAX]; /* groups by their masks */
    uint32_t next[PIGLET_FIREWALL_RULES_MAX];
    uint32_t place[PIGLET_FIREWALL_RULES_MAX]; /* a rule's slot */
    uint16_t counter[1 << COUNTERS_BITS];
    uint16_t lists[CLASSIFIER_SLOTS_MAX];  /* their lengths, */
    uint16_t filled[CLASSIFIER_SLOTS_MAX]; /* and how much of each is there */
    struct build_rule rule[PIGLET_FIREWALL_RULES_MAX];
};
const size_t classifier_scratch_bytes = sizeof(struct classifier_scratch);

/* ---- groups ---------------------------------------------------------------------------------- */

/* A mask of leading ones, shortened to the grid. */
static uint32_t grid_address(uint32_t mask, unsigned grid)
{
    return rules_mask((unsigned)__builtin_popcount(mask) & grid);
}

static uint64_t grid_port(uint16_t mask, unsigned grid)
{
    return lanes_port_mask((unsigned)__builtin_popcount(mask) & grid);
}

static uint64_t grid_addresses(uint64_t mask, const struct grid *grid)
{
    return (uint64_t)grid_address((uint32_t)(mask >> 32), grid->address) << 32 |
           grid_address((uint32_t)mask, grid->address);
}

static uint64_t grid_rest(uint64_t mask, const struct grid *grid)
{
    uint64_t kept = mask & (grid->nics ? 0xffffff00u : 0xff000000u);
    return grid_port((uint16_t)(mask >> 48), grid->from_port) << 48 |
           grid_port((uint16_t)(mask >> 32), grid->to_port) << 32 | kept;
}

/* The group of these masks, made if there is none. NULL: too many. */
static struct build_group *build_group(struct classifier_scratch *build, uint64_t addresses_mask,
                                       uint64_t rest_mask)
{
    unsigned at = (unsigned)(classifier_hash(addresses_mask, rest_mask) >> 32);
    for (;; at++) {
        uint16_t *entry = &build->hashed[at % (2 * GROUPS_MAX)];
        if (*entry == GROUP_NONE) {
            if (build->groups == GROUPS_MAX)
                return NULL;
            *entry = (uint16_t)build->groups;
            struct build_group *group = &build->group[build->groups++];
            *group = (struct build_group){.addresses_mask = addresses_mask,
                                          .rest_mask = rest_mask,
                                          .first = RULE_END,
                                          .best = RULES_NONE};
            return group;
        }
        struct build_group *group = &build->group[*entry];
        if (group->addresses_mask == addresses_mask && group->rest_mask == rest_mask)
            return group;
    }
}

static bool build_groups(struct classifier_scratch *build, uint32_t rules, const struct grid *grid)
{
    build->groups = 0;
    for (unsigned i = 0; i < 2 * GROUPS_MAX; i++)
        build->hashed[i] = GROUP_NONE;
    for (uint32_t i = 0; i < rules; i++) {
        const struct build_rule *rule = &build->rule[i];
        struct build_group *group = build_group(build, grid_addresses(rule->addresses_mask, grid),
                                                grid_rest(rule->rest_mask, grid));
        if (!group)
            return false;
        if (group->first == RULE_END) {
            group->first = i;
            group->best = i;
        } else {
            build->next[group->last] = i;
        }
        group->last = i;
        build->next[i] = RULE_END;
        group->count++;
    }
    build->alive = build->groups;
    return true;
}

/* ---- merging --------------------------------------------------------------------------------- */

static uint16_t *build_counter(struct classifier_scratch *build, const struct build_group *into,
                               const struct build_rule *rule)
{
    uint64_t hash =
        classifier_hash(rule->addresses & into->addresses_mask, rule->rest & into->rest_mask);
    hash += (uint64_t)(into - build->group) * CLASSIFIER_HASH_B;
    return &build->counter[hash * CLASSIFIER_HASH_A >> (64 - COUNTERS_BITS)];
}

/* Counts the rules of `from` among those of `into`. False: a list would get longer than `limit`, and
 * nothing was counted. */
static bool build_count(struct classifier_scratch *build, const struct build_group *from,
                        const struct build_group *into, unsigned limit)
{
    uint32_t i;
    for (i = from->first; i != RULE_END; i = build->next[i])
        if (++*build_counter(build, into, &build->rule[i]) > limit)
            break;
    if (i == RULE_END)
        return true;
    --*build_counter(build, into, &build->rule[i]);
    for (uint32_t undo = from->first; undo != i; undo = build->next[undo])
        --*build_counter(build, into, &build->rule[undo]);
    return false;
}

static void build_uncount(struct classifier_scratch *build, const struct build_group *group)
{
    for (uint32_t i = group->first; i != RULE_END; i = build->next[i])
        --*build_counter(build, group, &build->rule[i]);
}

static bool build_covers(const struct build_group *wide, const struct build_group *narrow)
{
    return (wide->addresses_mask & ~narrow->addresses_mask) == 0 &&
           (wide->rest_mask & ~narrow->rest_mask) == 0;
}

static unsigned build_bits(const struct build_group *group)
{
    return (unsigned)(__builtin_popcountll(group->addresses_mask) +
                      __builtin_popcountll(group->rest_mask));
}

/* The most exact group, of those with less bits than `below`, that `narrow` may be merged into. */
static struct build_group *build_wider(struct classifier_scratch *build,
                                       const struct build_group *narrow, uint32_t below)
{
    struct build_group *best = NULL;
    uint32_t best_rank = 0;
    for (unsigned i = 0; i < build->groups; i++) {
        struct build_group *wide = &build->group[i];
        if (wide->dead || wide == narrow || !build_covers(wide, narrow))
            continue;
        uint32_t rank = build_bits(wide) * GROUPS_MAX + i + 1; /* all different */
        if (rank < below && rank > best_rank) {
            best_rank = rank;
            best = wide;
        }
    }
    return best;
}

static uint32_t build_rank(const struct classifier_scratch *build, const struct build_group *group)
{
    return build_bits(group) * GROUPS_MAX + (uint32_t)(group - build->group) + 1;
}

static void build_merge(struct classifier_scratch *build, struct build_group *from,
                        struct build_group *into)
{
    build_uncount(build, from);
    build->next[into->last] = from->first;
    into->last = from->last;
    into->count += from->count;
    if (from->best < into->best)
        into->best = from->best;
    from->dead = true;
    build->alive--;
}

/* One round over all groups, the smallest first. */
static void build_merge_round(struct classifier_scratch *build, unsigned limit)
{
    for (unsigned i = 0; i < build->groups && build->alive > GROUPS_WANTED; i++) {
        struct build_group *from = &build->group[build->by_size[i]];
        if (from->dead)
            continue;
        struct build_group *into = build_wider(build, from, UINT32_MAX);
        for (unsigned tries = 0; into && tries < TRIES_MAX; tries++) {
            if (build_count(build, from, into, limit)) {
                build_merge(build, from, into);
                break;
            }
            into = build_wider(build, from, build_rank(build, into));
        }
    }
}

/* Shell's sort: small, without recursion, the same on every machine. */
static void build_sort(struct classifier_scratch *build)
{
    for (unsigned i = 0; i < build->groups; i++)
        build->by_size[i] = (uint16_t)i;
    for (unsigned gap = GROUPS_MAX / 2; gap; gap /= 2)
        for (unsigned i = gap; i < build->groups; i++)
            for (unsigned j = i; j >= gap; j -= gap) {
                uint16_t *low = &build->by_size[j - gap], *high = &build->by_size[j];
                if (build->group[*low].count <= build->group[*high].count)
                    break;
                uint16_t swap = *low;
                *low = *high;
                *high = swap;
            }
}

/* False: more groups remain than there can be tuples. */
static bool build_merge_all(struct classifier_scratch *build)
{
    for (unsigned i = 0; i < 1u << COUNTERS_BITS; i++)
        build->counter[i] = 0;
    for (unsigned i = 0; i < build->groups; i++)
        build_count(build, &build->group[i], &build->group[i], UINT16_MAX);
    build_sort(build);
    for (unsigned limit = LIST_WANTED; limit <= LIST_MAX; limit *= 2) {
        build_merge_round(build, limit);
        if (build->alive <= GROUPS_WANTED)
            break;
    }
    return build->alive <= CLASSIFIER_TUPLES_MAX;
}

/* ---- tuples ---------------------------------------------------------------------------------- */

static void prune_set(uint32_t *words, unsigned count, uint32_t bit)
{
    for (unsigned i = 0; i < count; i++)
        words[i] |= bit;
}

/* A side of a tuple that does not look at enough bits for a level is a candidate in all of it. */
static void prune_side_all(struct classifier_side *side, uint32_t mask, uint32_t bit)
{
    if (mask < rules_mask(8))
        prune_set(side->by8, PRUNE_8, bit);
    if (mask < rules_mask(16))
        prune_set(side->by16, PRUNE_16, bit);
    if (mask < rules_mask(24))
        prune_set(side->by24, PRUNE_24, bit);
    if (mask < rules_mask(32))
        prune_set(side->by32, PRUNE_32, bit);
}

static void prune_side(struct classifier_side *side, uint32_t address, uint32_t bit)
{
    side->by8[address >> 24] |= bit;
    side->by16[prune_16(address)] |= bit;
    side->by24[prune_24(address)] |= bit;
    side->by32[prune_32(address)] |= bit;
}

static void build_prune(struct classifier *classifier, const struct classifier_scratch *build,
                        const struct build_group *group, uint32_t bit)
{
    struct classifier_prune *prune = &classifier->prune;
    uint64_t addresses = UINT64_MAX, rest = UINT64_MAX; /* what all its rules look at */
    for (uint32_t i = group->first; i != RULE_END; i = build->next[i]) {
        addresses &= build->rule[i].addresses_mask;
        rest &= build->rule[i].rest_mask;
    }
    prune_side_all(&prune->from, (uint32_t)(addresses >> 32), bit);
    prune_side_all(&prune->to, (uint32_t)addresses, bit);
    if ((uint16_t)(rest >> 32) != UINT16_MAX)
        prune_set(prune->port, PRUNE_PORT, bit);
    if (!(uint8_t)(rest >> 24))
        prune_set(prune->protocol, 256, bit);
    for (uint32_t i = group->first; i != RULE_END; i = build->next[i]) {
        const struct build_rule *rule = &build->rule[i];
        prune_side(&prune->from, (uint32_t)(rule->addresses >> 32), bit);
        prune_side(&prune->to, (uint32_t)rule->addresses, bit);
        prune->port[prune_port((uint16_t)(rule->rest >> 32))] |= bit;
        prune->protocol[(uint8_t)(rule->rest >> 24)] |= bit;
        for (unsigned direction = 1; direction < 8; direction <<= 1)
            if (!(rule->forbidden & direction << KEY_DIRECTION))
                prune->direction[direction] |= bit;
    }
}

/* Lays the lists out one behind the other. */
static void build_lists(struct classifier *classifier, const struct classifier_scratch *build,
                        const struct classifier_tuple *tuple)
{
    for (uint32_t at = tuple->slot; at <= tuple->slot + tuple->slot_mask; at++) {
        uint32_t count = build->lists[at];
        if (count > classifier->list_max)
            classifier->list_max = count;
        if (count)
            classifier->slot[at] |= classifier->rules + 1; /* [0] is not used */
        classifier->rules += count;
    }
}

static void build_tuple(struct classifier *classifier, struct classifier_scratch *build,
                        const struct build_group *group)
{
    struct classifier_tuple *tuple = &classifier->tuple[classifier->tuples];
    uint32_t slots = 1;
    while (slots < SLOTS_A_RULE * group->count)
        slots *= 2;
    *tuple = (struct classifier_tuple){.addresses_mask = group->addresses_mask,
                                       .rest_mask = group->rest_mask,
                                       .slot = classifier->slots,
                                       .slot_mask = slots - 1,
                                       .best = group->best};
    for (uint32_t i = 0; i < slots; i++) {
        classifier->slot[tuple->slot + i] = 0;
        build->lists[tuple->slot + i] = 0;
    }
    classifier->slots += slots;
    for (uint32_t i = group->first; i != RULE_END; i = build->next[i]) {
        uint64_t hash = classifier_hash(build->rule[i].addresses & tuple->addresses_mask,
                                        build->rule[i].rest & tuple->rest_mask);
        build->place[i] = tuple->slot + ((uint32_t)hash & tuple->slot_mask);
        build->lists[build->place[i]]++;
        classifier->slot[build->place[i]] |= 1u << classifier_tag(hash);
    }
    build_lists(classifier, build, tuple);
    build_prune(classifier, build, group, 1u << classifier->tuples);
    classifier->tuples++;
}

/* Puts the rules into their lists, which are then in order of priority. */
static void build_fill(struct classifier *classifier, struct classifier_scratch *build,
                       const struct rules_table *table)
{
    uint16_t *filled = build->filled;
    for (uint32_t i = 0; i < classifier->slots; i++)
        filled[i] = 0;
    for (uint32_t i = 0; i < classifier->rules; i++) {
        uint32_t slot = build->place[i];
        struct classifier_rule *at =
            &classifier->rule[(uint16_t)classifier->slot[slot] + filled[slot]++];
        classifier->more[i] = lanes_more(&table->rule[i], &build->rule[i]);
        *at = lanes_rule(&table->rule[i], &build->rule[i], i, lanes_has_more(&classifier->more[i]));
        if (filled[slot] == build->lists[slot])
            at->span[LANE_REST] |= CLASSIFIER_LAST;
    }
}

static void build_better(struct classifier *classifier)
{
    uint32_t better = 0;
    for (uint32_t index = 0; index <= classifier->rules; index++) {
        while (better < classifier->tuples && classifier->tuple[better].best < index)
            better++;
        classifier->better[index] = (uint8_t)better;
    }
}

/* The group with the best rule of those that are left, or NULL. */
static struct build_group *build_first(struct classifier_scratch *build)
{
    struct build_group *first = NULL;
    for (unsigned i = 0; i < build->groups; i++) {
        struct build_group *group = &build->group[i];
        if (!group->dead && (!first || group->best < first->best))
            first = group;
    }
    return first;
}

void classifier_build(struct classifier *classifier, const struct rules_table *table,
                      struct classifier_scratch *build)
{
    uint32_t rules = table->header->rule_count;
    for (uint32_t i = 0; i < rules; i++)
        build->rule[i] = lanes_masks(&table->rule[i]);
    for (uint32_t i = 0; i < table->header->bpf_count; i++)
        classifier->bpf[i] = table->bpf[i];
    /* The last grid has at most 3 * 3 * 2 groups, so it always does. */
    for (unsigned grid = 0; grid < GRIDS; grid++)
        if (build_groups(build, rules, &grids[grid]) && build_merge_all(build))
            break;
    classifier->tuples = classifier->rules = classifier->slots = classifier->list_max = 0;
    classifier->prune = (struct classifier_prune){0};
    struct build_group *group;
    while ((group = build_first(build))) {
        build_tuple(classifier, build, group);
        group->dead = true;
    }
    build_fill(classifier, build, table);
    build_better(classifier);
}

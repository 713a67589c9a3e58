/* From a table to a half: everything is checked, and what frames need is worked out beforehand. */
#include "services/shaper/shaper.h"

enum {
    SHAPER_GATHER_US = 50, /* a few frames for each timer, where a bucket holds that many */
    SHAPER_GATHER_SHARE = 4,
    SHAPER_ROUNDING_NS = 2, /* of a frame's time, and of what the bucket's leaves out */
    SHAPER_IPV4_BITS = 32,
    SHAPER_DSCPS = 64,
    SHAPER_PROTOCOL_TCP = 6,
    SHAPER_PROTOCOL_UDP = 17,
};

#define SHAPER_BITS_PER_BYTE 8ull
#define SHAPER_PORTS_ALL     0xffff

static int shaper_refuse(struct service_self *self, size_t at, int error)
{
    self->load_error_at = (uint32_t)at;
    return error;
}

#define REFUSE(field, error)                                                                       \
    return shaper_refuse(self, at + offsetof(__typeof__(*from), field), (error))

/* ---- classes --------------------------------------------------------------------------------- */

/* Printable, closed, and filled with NUL. */
static bool shaper_name_valid(const char *name)
{
    unsigned length = 0;
    while (length < PIGLET_SHAPER_NAME_MAX && name[length] > ' ' && name[length] < 127)
        length++;
    for (unsigned i = length; i < PIGLET_SHAPER_NAME_MAX; i++)
        if (name[i])
            return false;
    return length && length < PIGLET_SHAPER_NAME_MAX;
}

/* By name, among the first `count`; or NULL. */
static struct shaper_class *shaper_named(struct shaper_class *class, unsigned count,
                                         const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(class[i].name, name, PIGLET_SHAPER_NAME_MAX) == 0)
            return &class[i];
    return NULL;
}

static int shaper_check_rates(struct service_self *self, size_t at,
                              const struct piglet_shaper_class *from)
{
    uint64_t rate_bps = from->rate_bps, ceiling_bps = from->ceiling_bps;
    if (rate_bps < PIGLET_SHAPER_RATE_MIN || rate_bps > PIGLET_SHAPER_RATE_MAX)
        REFUSE(rate_bps, ERR_RANGE);
    if (ceiling_bps < rate_bps || ceiling_bps > PIGLET_SHAPER_RATE_MAX ||
        (from->parent == PIGLET_SHAPER_NO_PARENT && ceiling_bps != rate_bps))
        REFUSE(ceiling_bps, ERR_RANGE);
    uint64_t late_bits = ceiling_bps * PIGLET_SHAPER_BURST_MIN_US / 1000000;
    uint64_t least = PIGLET_SHAPER_FRAME_MAX + 1 + late_bits / SHAPER_BITS_PER_BYTE;
    uint64_t most = rate_bps * PIGLET_SHAPER_BURST_MAX_S / SHAPER_BITS_PER_BYTE;
    if (from->burst_bytes < least || from->burst_bytes > PIGLET_SHAPER_BURST_MAX ||
        from->burst_bytes > most)
        REFUSE(burst_bytes, ERR_RANGE);
    return 0;
}

static int shaper_check_class(struct service_self *self, size_t at,
                              const struct piglet_shaper_class *from)
{
    if (!shaper_name_valid(from->name))
        REFUSE(name, ERR_INVALID);
    if (from->nic >= service_nic_count(self))
        REFUSE(nic, ERR_NOT_FOUND);
    if (from->priority >= PIGLET_SHAPER_PRIORITIES)
        REFUSE(priority, ERR_RANGE);
    if (from->flags & ~(uint32_t)PIGLET_SHAPER_DEFAULT)
        REFUSE(flags, ERR_INVALID);
    if (from->interval_us > PIGLET_SHAPER_INTERVAL_MAX)
        REFUSE(interval_us, ERR_RANGE);
    if (from->target_us > from->interval_us)
        REFUSE(target_us, ERR_RANGE);
    if (from->quantum < PIGLET_SHAPER_QUANTUM_MIN || from->quantum > PIGLET_SHAPER_QUANTUM_MAX)
        REFUSE(quantum, ERR_RANGE);
    if (from->limit_bytes < PIGLET_SHAPER_FRAME_MAX ||
        from->limit_bytes > PIGLET_SHAPER_LIMIT_BYTES_MAX)
        REFUSE(limit_bytes, ERR_RANGE);
    if (from->limit_frames < 1 || from->limit_frames > PIGLET_SHAPER_LIMIT_FRAMES_MAX)
        REFUSE(limit_frames, ERR_RANGE);
    if (from->reserved)
        REFUSE(reserved, ERR_INVALID);
    return shaper_check_rates(self, at, from);
}

static struct shaper_rate shaper_rate(uint64_t rate_bps, uint32_t burst_bytes)
{
    const uint64_t bit_ns = SHAPER_BITS_PER_BYTE * NS_PER_SECOND; /* of a byte at 1 bit/s */
    struct shaper_rate rate = {
        .byte_time = ((bit_ns << SHAPER_RATE_FRACTION) + rate_bps - 1) / rate_bps,
        .burst_ns = burst_bytes * bit_ns / rate_bps,
        .burst_bytes = burst_bytes,
    };
    /* Without what rounding leaves out: a frame that goes when this is left never overdraws. */
    rate.slack_ns = rate.burst_ns - SHAPER_ROUNDING_NS -
                    (PIGLET_SHAPER_FRAME_MAX * rate.byte_time >> SHAPER_RATE_FRACTION);
    return rate;
}

/* Puts the class below another, or on top of a tree. */
static int shaper_place(struct service_self *self, size_t at, struct shaper_half *half,
                        struct shaper_class *class, const struct piglet_shaper_class *from)
{
    unsigned index = (unsigned)(class - half->class), depth = 1;
    if (from->parent == PIGLET_SHAPER_NO_PARENT) {
        if (half->top_count == PIGLET_SHAPER_CHILDREN_MAX)
            REFUSE(parent, ERR_FULL);
        class->top = class;
        class->place = (uint8_t)half->top_count;
        half->top[half->top_count++] = class;
        return 0;
    }
    if (from->parent >= index)
        REFUSE(parent, ERR_NOT_FOUND);
    struct shaper_class *above = &half->class[from->parent];
    if (above->nic != class->nic)
        REFUSE(nic, ERR_INVALID);
    if (above->children == PIGLET_SHAPER_CHILDREN_MAX)
        REFUSE(parent, ERR_FULL);
    class->parent = above;
    class->top = above->top;
    class->place = above->children;
    above->child[above->children++] = (uint8_t)index;
    for (unsigned level = 1; above; above = above->parent, level++, depth++)
        if (above->level < level)
            above->level = (uint8_t)level;
    if (depth > PIGLET_SHAPER_DEPTH_MAX)
        REFUSE(parent, ERR_RANGE);
    return 0;
}

static int shaper_add_class(struct service_self *self, size_t at, struct shaper_half *half,
                            const struct piglet_shaper_class *from)
{
    struct shaper_class *class = &half->class[half->class_count];
    int error = shaper_check_class(self, at, from);
    if (error < 0)
        return error;
    if (shaper_named(half->class, half->class_count, from->name))
        REFUSE(name, ERR_EXISTS);
    *class = (struct shaper_class){
        .rate = shaper_rate(from->rate_bps, from->burst_bytes),
        .ceiling = shaper_rate(from->ceiling_bps, from->burst_bytes),
        .target_ns = from->target_us * NS_PER_US,
        .interval_ns = from->interval_us * NS_PER_US,
        .quantum = from->quantum,
        .turn = from->quantum,
        .limit_bytes = from->limit_bytes,
        .limit_frames = from->limit_frames,
        .line = from->line,
        .nic = from->nic,
        .priority = from->priority,
        .one_bucket = from->rate_bps == from->ceiling_bps,
    };
    if (class->turn < PIGLET_SHAPER_FRAME_MAX)
        class->turn = PIGLET_SHAPER_FRAME_MAX;
    class->gather_ns = class->ceiling.slack_ns / SHAPER_GATHER_SHARE;
    if (class->gather_ns > SHAPER_GATHER_US * NS_PER_US)
        class->gather_ns = SHAPER_GATHER_US * NS_PER_US;
    memcpy(class->name, from->name, sizeof class->name);
    error = shaper_place(self, at, half, class, from);
    half->class_count++;
    return error;
}

/* Only once all classes are there is it known which have queues. */
static int shaper_add_default(struct service_self *self, size_t at, struct shaper_half *half,
                              struct shaper_class *class, const struct piglet_shaper_class *from)
{
    if (!(from->flags & PIGLET_SHAPER_DEFAULT))
        return 0;
    if (class->level)
        REFUSE(flags, ERR_INVALID);
    if (half->fallback[class->nic])
        REFUSE(flags, ERR_EXISTS);
    half->fallback[class->nic] = class;
    return 0;
}

/* ---- matches --------------------------------------------------------------------------------- */

static uint32_t shaper_prefix_mask(unsigned length)
{
    return length ? ~0u << (SHAPER_IPV4_BITS - length) : 0;
}

static bool shaper_ports_all(uint16_t first, uint16_t last)
{
    return first == 0 && last == SHAPER_PORTS_ALL;
}

static int shaper_check_match(struct service_self *self, size_t at, const struct shaper_half *half,
                              const struct piglet_shaper_match *from)
{
    bool ports = !shaper_ports_all(from->from_port_first, from->from_port_last) ||
                 !shaper_ports_all(from->to_port_first, from->to_port_last);
    if (from->from_length > SHAPER_IPV4_BITS)
        REFUSE(from_length, ERR_RANGE);
    if (from->to_length > SHAPER_IPV4_BITS)
        REFUSE(to_length, ERR_RANGE);
    if (from->from & ~shaper_prefix_mask(from->from_length))
        REFUSE(from, ERR_INVALID);
    if (from->to & ~shaper_prefix_mask(from->to_length))
        REFUSE(to, ERR_INVALID);
    if (from->flags &
        ~(PIGLET_SHAPER_MATCH_IPV4 | PIGLET_SHAPER_MATCH_PROTOCOL | PIGLET_SHAPER_MATCH_DSCP))
        REFUSE(flags, ERR_INVALID);
    if (from->protocol && !(from->flags & PIGLET_SHAPER_MATCH_PROTOCOL))
        REFUSE(protocol, ERR_INVALID);
    if (ports && (from->flags & PIGLET_SHAPER_MATCH_PROTOCOL) &&
        from->protocol != SHAPER_PROTOCOL_TCP && from->protocol != SHAPER_PROTOCOL_UDP)
        REFUSE(protocol, ERR_INVALID);
    if (from->dscp >= SHAPER_DSCPS || (from->dscp && !(from->flags & PIGLET_SHAPER_MATCH_DSCP)))
        REFUSE(dscp, ERR_RANGE);
    if (from->from_port_first > from->from_port_last)
        REFUSE(from_port_first, ERR_RANGE);
    if (from->to_port_first > from->to_port_last)
        REFUSE(to_port_first, ERR_RANGE);
    if (from->class_index >= half->class_count)
        REFUSE(class_index, ERR_NOT_FOUND);
    if (half->class[from->class_index].level)
        REFUSE(class_index, ERR_INVALID);
    if (from->reserved)
        REFUSE(reserved, ERR_INVALID);
    return 0;
}

/* As it lies in a header. */
static uint64_t shaper_addresses(uint32_t from, uint32_t to)
{
    return (uint64_t)__builtin_bswap32(to) << 32 | __builtin_bswap32(from);
}

static int shaper_add_match(struct service_self *self, size_t at, struct shaper_half *half,
                            const struct piglet_shaper_match *from)
{
    int error = shaper_check_match(self, at, half, from);
    if (error < 0)
        return error;
    struct shaper_match *match = &half->match[half->match_count++];
    struct shaper_class *class = &half->class[from->class_index];
    *match = (struct shaper_match){
        .value = {shaper_addresses(from->from, from->to), (uint64_t) class->nic << 48},
        .mask = {shaper_addresses(shaper_prefix_mask(from->from_length),
                                  shaper_prefix_mask(from->to_length)),
                 0xffull << 48},
        .from_first = from->from_port_first,
        .from_width = (uint16_t)(from->from_port_last - from->from_port_first),
        .to_first = from->to_port_first,
        .to_width = (uint16_t)(from->to_port_last - from->to_port_first),
        .class = class,
    };
    match->value.rest |= (uint64_t)from->protocol << 32 | (uint64_t)from->dscp << 42;
    if (from->flags & PIGLET_SHAPER_MATCH_PROTOCOL)
        match->mask.rest |= 0xffull << 32;
    if (from->flags & PIGLET_SHAPER_MATCH_DSCP)
        match->mask.rest |= (uint64_t)SHAPER_TOS_DSCP << 40;
    if (from->flags || match->mask.addresses)
        match->mask.rest |= SHAPER_KEY_NO_IPV4;
    if (!shaper_ports_all(from->from_port_first, from->from_port_last) ||
        !shaper_ports_all(from->to_port_first, from->to_port_last))
        match->mask.rest |= SHAPER_KEY_NO_PORTS;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int shaper_check_table(struct service_self *self, const struct piglet_shaper_table *from,
                              size_t bytes)
{
    const size_t at = 0;
    if (from->magic != PIGLET_SHAPER_MAGIC)
        REFUSE(magic, ERR_INVALID);
    if (from->version != PIGLET_SHAPER_VERSION)
        REFUSE(version, ERR_UNSUPPORTED);
    if (from->class_count > PIGLET_SHAPER_CLASSES_MAX)
        REFUSE(class_count, ERR_RANGE);
    if (from->match_count > PIGLET_SHAPER_MATCHES_MAX)
        REFUSE(match_count, ERR_RANGE);
    if (from->reserved[0] || from->reserved[1] || from->reserved[2])
        REFUSE(reserved, ERR_INVALID);
    if (from->bytes != bytes ||
        bytes != sizeof *from + from->class_count * sizeof(struct piglet_shaper_class) +
                     from->match_count * sizeof(struct piglet_shaper_match))
        REFUSE(bytes, ERR_INVALID);
    return 0;
}

/* Those that the half in force names too share its queues; others get free ones. */
static void shaper_give_queues(struct shaper *shaper, struct shaper_half *half)
{
    struct shaper_half *old = shaper->half;
    struct shaper_queue *queue = shaper->memory->queue;
    bool used[SHAPER_QUEUES] = {false};
    for (unsigned i = 0; i < old->class_count; i++) {
        old->class[i].other = 0;
        used[old->class[i].queue - queue] = true;
    }
    unsigned free = 0;
    for (unsigned i = 0; i < half->class_count; i++) {
        struct shaper_class *class = &half->class[i];
        struct shaper_class *same = shaper_named(old->class, old->class_count, class->name);
        if (same) {
            class->queue = same->queue;
            class->other = (uint16_t)(same - old->class + 1);
            same->other = (uint16_t)(i + 1);
        } else {
            while (used[free])
                free++;
            class->queue = &queue[free++];
        }
    }
}

static int shaper_read(struct service_self *self, struct shaper_half *half, const uint8_t *table,
                       const struct piglet_shaper_table *header)
{
    struct piglet_shaper_class class;
    struct piglet_shaper_match match;
    size_t classes_at = sizeof *header;
    size_t matches_at = classes_at + header->class_count * sizeof class;
    int error = 0;
    half->class_count = half->match_count = half->top_count = 0;
    half->ready = 0;
    memset(half->fallback, 0, sizeof half->fallback);
    for (unsigned i = 0; i < header->class_count && error == 0; i++) {
        memcpy(&class, table + classes_at + i * sizeof class, sizeof class);
        error = shaper_add_class(self, classes_at + i * sizeof class, half, &class);
        self->load_error_line = error < 0 ? class.line : 0;
    }
    for (unsigned i = 0; i < header->class_count && error == 0; i++) {
        memcpy(&class, table + classes_at + i * sizeof class, sizeof class);
        error =
            shaper_add_default(self, classes_at + i * sizeof class, half, &half->class[i], &class);
        self->load_error_line = error < 0 ? class.line : 0;
    }
    for (unsigned i = 0; i < header->match_count && error == 0; i++) {
        memcpy(&match, table + matches_at + i * sizeof match, sizeof match);
        error = shaper_add_match(self, matches_at + i * sizeof match, half, &match);
        self->load_error_line = error < 0 ? match.line : 0;
    }
    return error;
}

int shaper_load(struct service_self *self, const uint8_t *table, size_t bytes)
{
    struct shaper *shaper = self->state;
    struct piglet_shaper_table header;
    if (bytes < sizeof header)
        return shaper_refuse(self, bytes, ERR_INVALID);
    memcpy(&header, table, sizeof header);
    int error = shaper_check_table(self, &header, bytes);
    if (error < 0)
        return error;
    if (!shaper->memory) {
        shaper->memory = service_memory(self, sizeof *shaper->memory);
        if (!shaper->memory)
            return ERR_NO_MEMORY;
        shaper->half = &shaper->memory->half[0]; /* without classes: nothing is shaped */
        shaper->spare = &shaper->memory->half[1];
        shaper->draft = &shaper->memory->half[2];
    }
    struct shaper_half *half = shaper->draft;
    error = shaper_read(self, half, table, &header);
    if (error < 0)
        return error;
    shaper->draft = shaper->spare;
    shaper->spare = half;
    shaper_give_queues(shaper, half);
    return 0;
}

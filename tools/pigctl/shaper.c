/* The shaper block: classes and matches as the shaper's table (include/piglet/shaper.h). What the
 * shaper would refuse is found here, where it has a place; but for nics, which only it knows. */
#include "tools/pigctl/shaper.h"

#include <string.h>

enum {
    TARGET_US = 5000, /* RFC 8289 4.2, 4.3 */
    INTERVAL_US = 100000,
    QUANTUM = 1514,        /* a frame of Ethernet's: RFC 8290 5.2.4 */
    LIMIT_FRAMES = 1000,   /* and as many bytes as these can have */
    BURST_US = 5000,       /* of the ceiling: how late we may wake and lose no rate */
    BYTE_US = 8 * 1000000, /* bit/s times us, of a byte */
    NICS_MAX = 256,
};

/* A block while it is compiled. */
struct build {
    struct piglet_shaper_class class[PIGLET_SHAPER_CLASSES_MAX];
    struct piglet_shaper_match match[PIGLET_SHAPER_MATCHES_MAX];
    struct place place[PIGLET_SHAPER_CLASSES_MAX]; /* of names */
    unsigned depth[PIGLET_SHAPER_CLASSES_MAX];     /* 1: on top */
    unsigned children[PIGLET_SHAPER_CLASSES_MAX];
    unsigned classes, matches, tops, errors;
    struct place fallback[NICS_MAX]; /* line 0: the nic has none */
};

/* ---- classes ------------------------------------------------------------------------------------------ */

/* The index of a class, or -1. */
static int class_find(const struct build *build, const char *name)
{
    for (unsigned i = 0; i < build->classes; i++)
        if (strcmp(build->class[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int name_read(struct shaper_reader *reader, struct build *build)
{
    const struct word *word = shaper_peek(reader);
    size_t length = word ? strlen(word->text) : 0;
    if (!word || length >= PIGLET_SHAPER_NAME_MAX)
        return shaper_wrong(reader, "a class's name, of 1 to 15 characters");
    for (size_t i = 0; i < length; i++)
        if (word->text[i] <= ' ' || word->text[i] > '~')
            return shaper_wrong(reader, "a class's name of ASCII characters");
    int before = class_find(build, word->text);
    if (before >= 0)
        return complain_at(word->place, PIGCTL_USAGE,
                           "shaper: line %u has a class \"%s\"; expected another name",
                           build->place[before].line, word->text);
    if (build->classes == PIGLET_SHAPER_CLASSES_MAX)
        return complain_at(word->place, PIGCTL_USAGE, "shaper: expected no more than %d classes",
                           PIGLET_SHAPER_CLASSES_MAX);
    build->place[build->classes] = word->place;
    build->class[build->classes].line = word->place.line;
    memcpy(build->class[build->classes++].name, word->text, length);
    reader->at++;
    return PIGCTL_DONE;
}

/* "nic0" or "parent NAME". The class is the last one. */
static int above_read(struct shaper_reader *reader, struct build *build)
{
    unsigned index = build->classes - 1;
    struct piglet_shaper_class *class = &build->class[index];
    unsigned *siblings = &build->tops;
    class->parent = PIGLET_SHAPER_NO_PARENT;
    build->depth[index] = 1;
    const struct word *word = shaper_peek(reader);
    uint64_t nic;
    if (shaper_take_if(reader, "parent")) {
        word = shaper_peek(reader);
        int parent = word ? class_find(build, word->text) : -1;
        if (parent < 0 || parent == (int)index)
            return shaper_wrong(reader, "the name of a class of an earlier line");
        class->parent = (uint16_t)parent;
        class->nic = build->class[parent].nic;
        siblings = &build->children[parent];
        build->depth[index] = build->depth[parent] + 1;
    } else if (word && strncmp(word->text, "nic", 3) == 0 &&
               parse_number(word->text + 3, NICS_MAX - 1, &nic)) {
        class->nic = (uint8_t)nic;
    } else {
        return shaper_wrong(reader, "a nic such as nic0, or parent and the name of a class");
    }
    if (build->depth[index] > PIGLET_SHAPER_DEPTH_MAX)
        return complain_at(word->place, PIGCTL_USAGE,
                           "shaper: expected no more than %d classes above each other",
                           PIGLET_SHAPER_DEPTH_MAX);
    if (++*siblings > PIGLET_SHAPER_CHILDREN_MAX)
        return complain_at(word->place, PIGCTL_USAGE,
                           "shaper: expected no more than %d classes side by side",
                           PIGLET_SHAPER_CHILDREN_MAX);
    reader->at++;
    return PIGCTL_DONE;
}

static uint64_t value_of(const struct shaper_options *options, enum shaper_option option,
                         uint64_t otherwise)
{
    return options->said[option].line ? options->value[option] : otherwise;
}

/* The rate, the ceiling and the burst, which must fit each other. */
static int rates_fill(struct piglet_shaper_class *class, const struct shaper_options *options)
{
    uint64_t rate = options->value[SHAPER_RATE];
    uint64_t ceiling = value_of(options, SHAPER_CEILING, rate);
    if (ceiling < rate || (class->parent == PIGLET_SHAPER_NO_PARENT && ceiling != rate))
        return complain_at(options->said[SHAPER_CEILING], PIGCTL_USAGE,
                           ceiling < rate ? "shaper: expected a ceiling of at least the rate"
                                          : "shaper: expected a ceiling that is the rate: no class "
                                            "is above that could lend");
    uint64_t least = PIGLET_SHAPER_FRAME_MAX + 1 + ceiling * PIGLET_SHAPER_BURST_MIN_US / BYTE_US;
    uint64_t most = rate * PIGLET_SHAPER_BURST_MAX_S / 8;
    if (most > PIGLET_SHAPER_BURST_MAX)
        most = PIGLET_SHAPER_BURST_MAX;
    if (least > most) /* only where a ceiling is said */
        return complain_at(options->said[SHAPER_CEILING], PIGCTL_USAGE,
                           "shaper: expected a smaller ceiling, or a greater rate: %llu bytes of "
                           "burst are least for the one, %llu are most for the other",
                           (unsigned long long)least, (unsigned long long)most);
    uint64_t usual = PIGLET_SHAPER_FRAME_MAX + 1 + ceiling * BURST_US / BYTE_US;
    uint64_t burst = value_of(options, SHAPER_BURST, usual < most ? usual : most);
    if (burst < least || burst > most)
        return complain_at(options->said[SHAPER_BURST], PIGCTL_USAGE,
                           "shaper: expected a burst from %llu to %llu bytes at this rate",
                           (unsigned long long)least, (unsigned long long)most);
    class->rate_bps = rate;
    class->ceiling_bps = ceiling;
    class->burst_bytes = (uint32_t)burst;
    return PIGCTL_DONE;
}

/* "class NAME nic0 rate ..." */
static int class_read(struct shaper_reader *reader, struct build *build)
{
    struct shaper_options options = {.value = {0}};
    int code = name_read(reader, build);
    if (code == PIGCTL_DONE)
        code = above_read(reader, build);
    if (code == PIGCTL_DONE)
        code = shaper_options_read(reader, &options);
    if (code != PIGCTL_DONE)
        return code;
    struct piglet_shaper_class *class = &build->class[build->classes - 1];
    uint64_t interval = value_of(&options, SHAPER_INTERVAL, INTERVAL_US);
    uint64_t target =
        value_of(&options, SHAPER_TARGET, interval < TARGET_US ? interval : TARGET_US);
    if (target > interval)
        return complain_at(options.said[SHAPER_TARGET], PIGCTL_USAGE,
                           "shaper: expected a target of at most the interval, which is %llu us",
                           (unsigned long long)interval);
    class->target_us = (uint32_t)target;
    class->interval_us = (uint32_t)interval;
    class->priority = (uint8_t)value_of(&options, SHAPER_PRIORITY, 0);
    class->quantum = (uint32_t)value_of(&options, SHAPER_QUANTUM, QUANTUM);
    class->limit_frames = (uint32_t)value_of(&options, SHAPER_LIMIT_FRAMES, LIMIT_FRAMES);
    class->limit_bytes = (uint32_t)value_of(
        &options, SHAPER_LIMIT_BYTES, (uint64_t) class->limit_frames * PIGLET_SHAPER_FRAME_MAX);
    return rates_fill(class, &options);
}

/* ---- matches and defaults --------------------------------------------------------------------------- */

/* Takes the name of a class that has a queue. */
static int queue_read(struct shaper_reader *reader, const struct build *build, unsigned *index)
{
    const struct word *word = shaper_peek(reader);
    int found = word ? class_find(build, word->text) : -1;
    if (found < 0)
        return shaper_wrong(reader, "the name of a class");
    if (build->children[found])
        return shaper_wrong(reader, "a class that is no other's parent: only those have queues");
    *index = (unsigned)found;
    reader->at++;
    return PIGCTL_DONE;
}

/* One match: of each list the item that is at. */
static void match_add(struct build *build, const struct shaper_match_line *line,
                      const unsigned at[LISTS])
{
    struct piglet_shaper_match *match = &build->match[build->matches++];
    struct list_item item[LISTS];
    for (unsigned i = 0; i < LISTS; i++)
        item[i] = line->list[i].item[at[i]];
    *match = line->match;
    match->flags |= item[LIST_PROTOCOL].last ? PIGLET_SHAPER_MATCH_PROTOCOL : 0;
    match->protocol = (uint8_t)item[LIST_PROTOCOL].first;
    match->from = item[LIST_SOURCE].first;
    match->from_length = (uint8_t)item[LIST_SOURCE].last;
    match->to = item[LIST_DESTINATION].first;
    match->to_length = (uint8_t)item[LIST_DESTINATION].last;
    match->from_port_first = (uint16_t)item[LIST_SOURCE_PORT].first;
    match->from_port_last = (uint16_t)item[LIST_SOURCE_PORT].last;
    match->to_port_first = (uint16_t)item[LIST_DESTINATION_PORT].first;
    match->to_port_last = (uint16_t)item[LIST_DESTINATION_PORT].last;
}

/* "match NAME udp ..." */
static int match_read(struct shaper_reader *reader, struct build *build)
{
    struct shaper_match_line line = {.match = {.line = reader->words->word[0].place.line}};
    unsigned at[LISTS] = {0}, index;
    int code = queue_read(reader, build, &index);
    if (code == PIGCTL_DONE)
        code = shaper_match_read(reader, &line);
    if (code != PIGCTL_DONE)
        return code;
    if (build->matches + lists_combinations(line.list) > PIGLET_SHAPER_MATCHES_MAX)
        return complain_at(
            reader->words->word[0].place, PIGCTL_USAGE,
            "shaper: expected no more than %d matches, of which a line with lists is "
            "one for each combination",
            PIGLET_SHAPER_MATCHES_MAX);
    line.match.class_index = (uint16_t)index;
    do
        match_add(build, &line, at);
    while (lists_next(line.list, at));
    return PIGCTL_DONE;
}

/* "default NAME" */
static int default_read(struct shaper_reader *reader, struct build *build)
{
    unsigned index;
    int code = queue_read(reader, build, &index);
    if (code != PIGCTL_DONE)
        return code;
    if (shaper_peek(reader))
        return shaper_wrong(reader, "the end of the line");
    struct piglet_shaper_class *class = &build->class[index];
    struct place *before = &build->fallback[class->nic];
    if (before->line)
        return complain_at(reader->words->word[0].place, PIGCTL_USAGE,
                           "shaper: line %u has a default for nic%u; expected one", before->line,
                           class->nic);
    *before = reader->words->word[0].place;
    class->flags |= PIGLET_SHAPER_DEFAULT;
    return PIGCTL_DONE;
}

/* ---- the block ------------------------------------------------------------------------------------------ */

/* Reads a line of a class, or of anything else. */
static int line_compile(const struct words *words, struct build *build, bool classes)
{
    struct shaper_reader reader = {words, 0};
    if (shaper_take_if(&reader, "class"))
        return classes ? class_read(&reader, build) : PIGCTL_DONE;
    if (shaper_take_if(&reader, "match"))
        return classes ? PIGCTL_DONE : match_read(&reader, build);
    if (shaper_take_if(&reader, "default"))
        return classes ? PIGCTL_DONE : default_read(&reader, build);
    return classes ? shaper_wrong(&reader, "class, match, default or }") : PIGCTL_DONE;
}

/* Classes first: which have queues is known when all are there. */
static void lines_compile(const struct block_lines *lines, struct build *build, bool classes)
{
    for (unsigned i = 0; i < lines->count && build->errors < ERRORS_MAX; i++)
        build->errors += line_compile(&lines->line[i], build, classes) != PIGCTL_DONE;
}

int shaper_compile(const struct block_lines *lines, struct bytes *table)
{
    struct build build = {.classes = 0};
    lines_compile(lines, &build, true);
    lines_compile(lines, &build, false);
    if (build.errors)
        return PIGCTL_USAGE;
    size_t class_bytes = build.classes * sizeof *build.class;
    size_t match_bytes = build.matches * sizeof *build.match;
    struct piglet_shaper_table *header = bytes_add(table, sizeof *header);
    header->magic = PIGLET_SHAPER_MAGIC;
    header->version = PIGLET_SHAPER_VERSION;
    header->bytes = (uint32_t)(sizeof *header + class_bytes + match_bytes);
    header->class_count = build.classes;
    header->match_count = build.matches;
    memcpy(bytes_add(table, class_bytes), build.class, class_bytes);
    memcpy(bytes_add(table, match_bytes), build.match, match_bytes);
    return PIGCTL_DONE;
}

/* What a PVH loader hands over: taken when right, refused by name when not. */
#include "arch/x86_64/start_info.h"
#include "tests/unit/test.h"

enum { BASE = 0x1000, MEMORY = 0x4000, MAP = 0x2000, LINE = 0x3000, MODULES = 0x3800 };

static uint8_t memory[MEMORY];

static void *map(uint64_t address, uint64_t bytes)
{
    if (address < BASE || address - BASE > MEMORY || bytes > MEMORY - (address - BASE))
        return NULL;
    return memory + (address - BASE);
}

static void put(uint64_t address, uint64_t value, unsigned bytes)
{
    memcpy(memory + (address - BASE), &value, bytes);
}

static void put_range(unsigned index, uint64_t address, uint64_t bytes, uint32_t type)
{
    put(MAP + index * 24, address, 8);
    put(MAP + index * 24 + 8, bytes, 8);
    put(MAP + index * 24 + 16, type, 4);
}

static void make_good(void)
{
    memset(memory, 0, sizeof memory);
    put(BASE, 0x336ec578, 4);
    put(BASE + 4, 1, 4);
    put(BASE + 12, 1, 4); /* a module */
    put(BASE + 16, MODULES, 8);
    put(BASE + 24, LINE, 8);
    put(BASE + 32, 0xf0000, 8);
    put(BASE + 40, MAP, 8);
    put(BASE + 48, 3, 4);
    put_range(0, 0, 0x9fc00, 1);
    put_range(1, 0xf0000, 0x10000, 2);
    put_range(2, 0x100000, 0x3f00000, 1);
    strcpy((char *)memory + (LINE - BASE), "ip=10.0.0.2/24");
    put(MODULES, 0x200000, 8);
    put(MODULES + 8, 1234, 8);
}

static void start_info_01_good(void **state)
{
    (void)state;
    static struct start_info info;
    make_good();
    assert_null(start_info_read(BASE, map, &info));
    assert_string_equal(info.command_line, "ip=10.0.0.2/24");
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.ram[0].end, 0x9f000);
    assert_int_equal(info.ram[1].start, 0x100000);
    assert_int_equal(info.module_count, 1);
    assert_int_equal(info.module[0].end, 0x200000 + 1234);
    assert_int_equal(info.rsdp, 0xf0000);
}

static void start_info_02_refused(void **state)
{
    (void)state;
    static struct start_info info;
    make_good();
    assert_string_equal(start_info_read(0, map, &info), "it lies outside of memory");
    put(BASE, 0x12345678, 4);
    assert_string_equal(start_info_read(BASE, map, &info), "wrong magic number");
    static const struct {
        unsigned offset;
        uint32_t value;
    } no_map[] = {{4, 0}, {40, 0}, {48, 0}, {48, 129}, {48, UINT32_MAX}, {40, 0x4fff}};
    for (unsigned i = 0; i < COUNT_OF(no_map); i++) {
        make_good();
        put(BASE + no_map[i].offset, no_map[i].value, 4);
        assert_string_equal(start_info_read(BASE, map, &info), "no memory map");
    }
}

static void start_info_03_odd_parts_are_left_out(void **state)
{
    (void)state;
    static struct start_info info;
    make_good();
    put_range(1, UINT64_MAX - 100, 1000, 1); /* beyond all addresses */
    put(MODULES + 8, UINT64_MAX, 8);
    put(BASE + 24, 0x5fff, 8); /* the command line is nowhere */
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.module_count, 0);
    assert_string_equal(info.command_line, "");
    make_good();
    memset(memory + (LINE - BASE), 'x', MEMORY - (LINE - BASE));
    put(BASE + 16, 0, 8);
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(strlen(info.command_line), START_LINE_MAX - 1);
}

/* A note of a loader of ours is kept, and is no module; ACPI's tables below 4 GiB can be read. */
static void start_info_04_note(void **state)
{
    (void)state;
    static struct start_info info;
    struct loader_note note = {
        .magic = LOADER_NOTE_MAGIC, .loader = "UEFI", .screen = {.width = 640}};
    make_good();
    memcpy(memory + 0x3000, &note, sizeof note);
    put(MODULES, BASE + 0x3000, 8);
    put(MODULES + 8, sizeof note, 8);
    put_range(1, 0x7f000000, 0x10000, 3);
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(info.module_count, 0);
    assert_string_equal(info.note.loader, "UEFI");
    assert_int_equal(info.note.screen.width, 640);
    assert_int_equal(info.acpi_end, 0x7f010000);
    put_range(1, 0x100000000, 0x1000, 4);
    memset(memory + 0x3008, 'x', 16); /* a name without an end */
    put(MODULES + 8, sizeof note, 8);
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(info.acpi_end, 0);
    assert_int_equal(strlen(info.note.loader), sizeof info.note.loader - 1);
    put(BASE + 0x3000, 1, 1); /* another magic number: a module like others */
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(info.module_count, 1);
    assert_int_equal(info.note.magic, 0);
}

/* The stub's words, Multiboot's information, a map whose entries are longer than needed, a line and a module. */
static void start_info_05_multiboot(void **state)
{
    (void)state;
    static struct start_info info;
    memset(memory, 0, sizeof memory);
    put(BASE, 0x2badb002, 4);
    put(BASE + 4, BASE + 16, 4);
    put(BASE + 16, 1 << 2 | 1 << 3 | 1 << 6, 4);
    put(BASE + 32, LINE, 4);
    put(BASE + 36, 1, 4);
    put(BASE + 40, MODULES, 4);
    put(BASE + 60, 2 * 28, 4);
    put(BASE + 64, MAP, 4);
    for (unsigned i = 0; i < 2; i++) {
        put(MAP + i * 28, 24, 4);
        put(MAP + i * 28 + 4, i * 0x100000, 8);
        put(MAP + i * 28 + 12, 0x9fc00, 8);
        put(MAP + i * 28 + 20, 1, 4);
    }
    strcpy((char *)memory + (LINE - BASE), "piglet.mb ip=10.0.0.2/24 a=b");
    put(MODULES, 0x200000, 4);
    put(MODULES + 4, 0x200100, 4);
    assert_null(start_info_read(BASE, map, &info));
    assert_string_equal(info.command_line, " ip=10.0.0.2/24 a=b");
    assert_int_equal(info.range_count, 2);
    assert_int_equal(info.ram[1].end, 0x19f000);
    assert_int_equal(info.module_count, 1);
    assert_int_equal(info.module[0].end, 0x200100);
    put(MAP, 0xffffffff, 4); /* the next entry would lie beyond all */
    assert_null(start_info_read(BASE, map, &info));
    assert_int_equal(info.range_count, 1);
    put(BASE + 4, 0xfffffff0, 4);
    assert_string_equal(start_info_read(BASE, map, &info), "it lies outside of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_info_01_good),
        cmocka_unit_test(start_info_02_refused),
        cmocka_unit_test(start_info_03_odd_parts_are_left_out),
        cmocka_unit_test(start_info_04_note),
        cmocka_unit_test(start_info_05_multiboot),
    };
    return cmocka_run_group_tests_name("start info", tests, NULL, NULL);
}

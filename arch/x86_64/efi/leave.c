/* Leaving the firmware: the memory map, the end of its services, and the jump. */
#include "loader.h"

enum {
    MAP_ROOM_BYTES = 16 << 10, /* the map grows by what happens between asking and leaving */
    LEAVE_TRIES = 8,
};

typedef void __attribute__((sysv_abi))
trampoline_function(UINT64 from, UINT64 to, UINT64 bytes, UINT64 entry, UINT64 start_info);
extern const UINT8 trampoline[] __attribute__((visibility("hidden")));
extern const UINT8 trampoline_end[] __attribute__((visibility("hidden")));

struct map {
    EFI_MEMORY_DESCRIPTOR *first;
    UINTN room, bytes, each, key;
};

static EFI_STATUS map_get(struct map *map)
{
    UINT32 version;
    map->bytes = map->room;
    return BS->GetMemoryMap(&map->bytes, map->first, &map->key, &map->each, &version);
}

static EFI_STATUS map_start(struct map *map)
{
    if (map_get(map) != EFI_BUFFER_TOO_SMALL)
        return EFI_DEVICE_ERROR;
    map->room = map->bytes + MAP_ROOM_BYTES;
    map->first = loader_pages(map->room);
    return map->first ? map_get(map) : EFI_OUT_OF_RESOURCES;
}

static const EFI_MEMORY_DESCRIPTOR *map_entry(const struct map *map, UINTN at)
{
    return at < map->bytes ? (const EFI_MEMORY_DESCRIPTOR *)((UINT8 *)map->first + at) : NULL;
}

/* What a kind of memory will be once the firmware's services have ended (UEFI 2.10, table 7.10). */
static UINT32 map_type(UINT32 type)
{
    switch (type) {
    case EfiLoaderCode:
    case EfiLoaderData:
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory:
        return PVH_RAM;
    case EfiACPIReclaimMemory:
        return PVH_ACPI;
    case EfiACPIMemoryNVS:
        return PVH_ACPI_NVS;
    default:
        return PVH_RESERVED;
    }
}

/* The kernel's place must be RAM when the firmware is gone, whatever it is until then. */
static EFI_STATUS map_check(const struct map *map, const struct kernel *kernel)
{
    UINT64 free = 0;
    const EFI_MEMORY_DESCRIPTOR *entry;
    for (UINTN at = 0; (entry = map_entry(map, at)); at += map->each) {
        UINT64 start = entry->PhysicalStart, end = start + entry->NumberOfPages * EFI_PAGE_SIZE;
        if (map_type(entry->Type) != PVH_RAM || end <= kernel->first || start >= kernel->end)
            continue;
        free += (end < kernel->end ? end : kernel->end) -
                (start > kernel->first ? start : kernel->first);
    }
    if (free == kernel->end - kernel->first)
        return EFI_SUCCESS;
    Print(L"piglet: the firmware keeps memory for itself between %lx and %lx, where the kernel "
          L"must go\n",
          kernel->first, kernel->end);
    return EFI_UNSUPPORTED;
}

/* RAM and ACPI's tables, neighbours joined; what is neither is left out. */
static void map_tell(const struct map *map, struct handover *handover)
{
    struct pvh_range *range = handover->range;
    UINT32 count = 0;
    const EFI_MEMORY_DESCRIPTOR *entry;
    for (UINTN at = 0; (entry = map_entry(map, at)); at += map->each) {
        UINT32 type = map_type(entry->Type);
        UINT64 start = entry->PhysicalStart, bytes = entry->NumberOfPages * EFI_PAGE_SIZE;
        if (type == PVH_RESERVED)
            continue;
        if (count && range[count - 1].type == type &&
            range[count - 1].address + range[count - 1].bytes == start)
            range[count - 1].bytes += bytes;
        else if (count < RANGES_MAX)
            range[count++] = (struct pvh_range){start, bytes, type, 0};
    }
    handover->info.map_entries = count;
}

EFI_STATUS leave(EFI_HANDLE image, const struct kernel *kernel, struct handover *handover)
{
    struct map map = {0};
    EFI_PHYSICAL_ADDRESS code = BELOW_1G;
    EFI_STATUS status = BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, 1, &code);
    if (!EFI_ERROR(status))
        status = map_start(&map);
    if (EFI_ERROR(status)) {
        Print(L"piglet: no memory map (%r)\n", status);
        return status;
    }
    status = map_check(&map, kernel);
    if (EFI_ERROR(status))
        return status;
    /* cppcheck-suppress comparePointers; both are the linker's, of one section */
    CopyMem((void *)code, trampoline, (UINTN)(trampoline_end - trampoline));

    /* The map may change between being read and its key being used, even by the end of services that
     * failed for just that; then only the map's own services may be called (7.4.6). */
    for (unsigned i = 0; i < LEAVE_TRIES; i++) {
        status = map_get(&map);
        if (EFI_ERROR(status))
            break;
        map_tell(&map, handover);
        status = BS->ExitBootServices(image, map.key);
        if (!EFI_ERROR(status))
            ((trampoline_function *)code)((UINT64)kernel->copy, kernel->first,
                                          kernel->end - kernel->first, kernel->entry,
                                          (UINT64)&handover->info);
    }
    return status;
}

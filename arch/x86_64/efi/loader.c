/* The UEFI loader's course. Source for all of this folder: UEFI 2.10. */
#include "loader.h"

enum {
    MODULE_BYTES_MAX = 8 << 20, /* PIGLET_MODULE_BYTES_MAX */
    READ_US = 10000000,         /* for whoever reads why it could not start */
};

static EFI_GUID acpi_2 = ACPI_20_TABLE_GUID, acpi_1 = ACPI_TABLE_GUID;
static EFI_GUID screen_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;

void *loader_pages(UINTN bytes)
{
    EFI_PHYSICAL_ADDRESS address = BELOW_1G;
    if (BS->AllocatePages(AllocateMaxAddress, EfiLoaderData, EFI_SIZE_TO_PAGES(bytes), &address) !=
        EFI_SUCCESS)
        return NULL;
    ZeroMem((void *)address, bytes);
    return (void *)address;
}

static UINT64 find_acpi(void)
{
    void *table = NULL;
    if (LibGetSystemConfigurationTable(&acpi_2, &table) != EFI_SUCCESS &&
        LibGetSystemConfigurationTable(&acpi_1, &table) != EFI_SUCCESS)
        Print(
            L"piglet: the firmware has no ACPI tables; power off and PCI Express may be missing\n");
    return (UINT64)table;
}

/* A mode with 4 bytes a pixel, as it is: what the firmware has chosen is what the screen can show. */
static void find_screen(struct loader_screen *screen)
{
    EFI_GRAPHICS_OUTPUT_PROTOCOL *output;
    if (LibLocateProtocol(&screen_guid, (void **)&output) != EFI_SUCCESS)
        return;
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = output->Mode->Info;
    if (mode->PixelFormat != PixelRedGreenBlueReserved8BitPerColor &&
        mode->PixelFormat != PixelBlueGreenRedReserved8BitPerColor)
        return;
    screen->address = output->Mode->FrameBufferBase;
    screen->width = mode->HorizontalResolution;
    screen->height = mode->VerticalResolution;
    screen->stride = mode->PixelsPerScanLine * 4;
}

static void add_module(struct handover *handover, const void *data, UINTN bytes)
{
    struct pvh_module *module = &handover->module[handover->info.module_count++];
    module->address = (UINT64)data;
    module->bytes = bytes;
}

static void find_configuration(EFI_LOADED_IMAGE *self, struct handover *handover)
{
    struct file file = {NULL, 0};
    EFI_STATUS status = file_read(self, L"piglet.psr", MODULE_BYTES_MAX, &file);
    if (status == EFI_SUCCESS && file.bytes) {
        add_module(handover, file.data, file.bytes);
        return;
    }
    if (status == EFI_SUCCESS)
        Print(L"piglet: piglet.psr is empty; going on without a configuration\n");
    if (status == EFI_NOT_FOUND &&
        file_read(self, L"piglet.conf", MODULE_BYTES_MAX, &file) == EFI_SUCCESS)
        Print(L"piglet: piglet.conf is no compiled configuration and is not read; "
              L"cure: pigctl compile piglet.conf -o piglet.psr\n");
    file_free(&file);
}

static EFI_STATUS run(EFI_HANDLE image, EFI_LOADED_IMAGE *self)
{
    struct kernel kernel = {0};
    EFI_STATUS status = kernel_claim(&kernel);
    if (!EFI_ERROR(status))
        status = kernel_lay_out(&kernel);
    if (EFI_ERROR(status))
        return status;
    struct handover *handover = loader_pages(sizeof *handover);
    if (!handover) {
        Print(L"piglet: no memory below 1 GiB\n");
        return EFI_OUT_OF_RESOURCES;
    }
    words_gather(self, handover->words);
    handover->note.magic = LOADER_NOTE_MAGIC;
    CopyMem(handover->note.loader, "UEFI", sizeof "UEFI");
    find_screen(&handover->note.screen);
    handover->info.magic = PVH_MAGIC;
    handover->info.version = PVH_WITH_MAP;
    handover->info.modules = (UINT64)handover->module;
    handover->info.command_line = (UINT64)handover->words;
    handover->info.map = (UINT64)handover->range;
    handover->info.rsdp = find_acpi();
    add_module(handover, &handover->note, sizeof handover->note);
    find_configuration(self, handover);
    return leave(image, &kernel, handover);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    EFI_LOADED_IMAGE *self;
    InitializeLib(image, system);
    Print(L"piglet: %a, loaded by UEFI\n", PIGLET_VERSION);
    EFI_STATUS status = BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&self);
    if (!EFI_ERROR(status))
        status = run(image, self);
    Print(L"piglet: not started (%r); back to the firmware\n", status);
    BS->Stall(READ_US);
    return status;
}

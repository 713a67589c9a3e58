/* Files beside this program: on the volume it came from, or by TFTP from the server it came from. */
#include "loader.h"

enum {
    PATH_MAX = 128, /* of a boot file, in BOOTP's header (RFC 951) */
    FILL = 0xa5,
};

static EFI_GUID pxe_guid = EFI_PXE_BASE_CODE_PROTOCOL_GUID;

static EFI_STATUS file_room(const CHAR16 *name, UINT64 bytes, UINTN bytes_max, struct file *file)
{
    if (bytes > bytes_max) {
        Print(L"piglet: %s has %ld bytes, and may have %ld; left out\n", name, bytes,
              (UINT64)bytes_max);
        return EFI_BAD_BUFFER_SIZE;
    }
    file->bytes = bytes;
    file->data = loader_pages(bytes ? bytes : 1);
    if (file->data)
        return EFI_SUCCESS;
    Print(L"piglet: no memory for %s; left out\n", name);
    return EFI_OUT_OF_RESOURCES;
}

void file_free(struct file *file)
{
    if (file->data)
        BS->FreePages((EFI_PHYSICAL_ADDRESS)file->data,
                      EFI_SIZE_TO_PAGES(file->bytes ? file->bytes : 1));
    file->data = NULL;
}

static EFI_STATUS volume_file(EFI_FILE_HANDLE from, const CHAR16 *name, UINTN bytes_max,
                              struct file *file)
{
    EFI_FILE_INFO *info = LibFileInfo(from);
    if (!info)
        return EFI_DEVICE_ERROR;
    UINT64 bytes = info->FileSize;
    FreePool(info);
    EFI_STATUS status = file_room(name, bytes, bytes_max, file);
    if (EFI_ERROR(status))
        return status;
    UINTN read = bytes;
    status = from->Read(from, &read, file->data);
    if (!EFI_ERROR(status) && read == bytes)
        return EFI_SUCCESS;
    file_free(file);
    Print(L"piglet: %s cannot be read (%r, %ld of %ld bytes); left out\n", name, status,
          (UINT64)read, bytes);
    return EFI_DEVICE_ERROR;
}

static EFI_STATUS volume_read(EFI_LOADED_IMAGE *self, const CHAR16 *name, UINTN bytes_max,
                              struct file *file)
{
    EFI_FILE_HANDLE root = LibOpenRoot(self->DeviceHandle), from;
    if (!root)
        return EFI_NOT_FOUND;
    EFI_STATUS status = root->Open(root, &from, (CHAR16 *)(UINTN)name, EFI_FILE_MODE_READ, 0);
    if (!EFI_ERROR(status)) {
        status = volume_file(from, name, bytes_max, file);
        from->Close(from);
    } else if (status != EFI_NOT_FOUND) {
        Print(L"piglet: %s cannot be opened (%r); left out\n", name, status);
    }
    root->Close(root);
    return status;
}

/* The name with the boot file's folder before it, as the server knows it. */
static void server_path(const EFI_PXE_BASE_CODE_DHCPV4_PACKET *offer, const CHAR16 *name,
                        CHAR8 path[PATH_MAX])
{
    UINTN used = 0;
    for (UINTN i = 0; i < sizeof offer->BootpBootFile && offer->BootpBootFile[i]; i++) {
        path[i] = offer->BootpBootFile[i];
        if (path[i] == '/')
            used = i + 1;
    }
    while (*name && used < PATH_MAX - 1)
        path[used++] = (CHAR8)*name++;
    path[used] = 0;
}

/* What the server said last is what counts: a boot server's reply, a proxy's offer, DHCP's own. */
static const EFI_PXE_BASE_CODE_DHCPV4_PACKET *server_said(const EFI_PXE_BASE_CODE_MODE *mode)
{
    if (mode->PxeReplyReceived)
        return &mode->PxeReply.Dhcpv4;
    if (mode->ProxyOfferReceived)
        return &mode->ProxyOffer.Dhcpv4;
    return &mode->DhcpAck.Dhcpv4;
}

/* Where a file ends that was read into room filled with FILL: iPXE leaves the number of bytes as it was. None
 * of our files ends in that byte: text does not, and a configuration ends in what is zero or a small number. */
static UINT64 server_end(const struct file *room)
{
    UINT64 end = room->bytes;
    while (end && room->data[end - 1] == FILL)
        end--;
    return end;
}

/* Read at once into room for the longest: iPXE tells no size before. */
static EFI_STATUS server_fetch(EFI_PXE_BASE_CODE *pxe, const CHAR16 *name, UINTN bytes_max,
                               struct file *file)
{
    const EFI_PXE_BASE_CODE_DHCPV4_PACKET *said = server_said(pxe->Mode);
    struct file room = {NULL, 0};
    EFI_IP_ADDRESS server = {{0}};
    CHAR8 path[PATH_MAX];
    EFI_STATUS status = file_room(name, bytes_max, bytes_max, &room);
    if (EFI_ERROR(status))
        return status;
    CopyMem(&server.v4, said->BootpSiAddr, sizeof server.v4);
    server_path(said, name, path);
    UINT64 bytes = bytes_max;
    SetMem(room.data, bytes_max, FILL);
    status = pxe->Mtftp(pxe, EFI_PXE_BASE_CODE_TFTP_READ_FILE, room.data, FALSE, &bytes, NULL,
                        &server, (UINT8 *)path, NULL, FALSE);
    if (status == EFI_BUFFER_TOO_SMALL)
        Print(L"piglet: %s has more than %ld bytes; left out\n", name, (UINT64)bytes_max);
    else if (EFI_ERROR(status))
        status = EFI_NOT_FOUND; /* most likely; what the server says is not passed on reliably */
    else
        status = file_room(name, bytes < bytes_max ? bytes : server_end(&room), bytes_max, file);
    if (!EFI_ERROR(status))
        CopyMem(file->data, room.data, file->bytes);
    file_free(&room);
    return status;
}

static EFI_STATUS server_read(EFI_LOADED_IMAGE *self, const CHAR16 *name, UINTN bytes_max,
                              struct file *file)
{
    EFI_PXE_BASE_CODE *pxe;
    if (BS->HandleProtocol(self->DeviceHandle, &pxe_guid, (void **)&pxe) != EFI_SUCCESS ||
        !pxe->Mode->Started || pxe->Mode->UsingIpv6 || !pxe->Mode->DhcpAckReceived)
        return EFI_NOT_FOUND;
    return server_fetch(pxe, name, bytes_max, file);
}

EFI_STATUS file_read(EFI_LOADED_IMAGE *self, const CHAR16 *name, UINTN bytes_max, struct file *file)
{
    if (!self->DeviceHandle)
        return EFI_NOT_FOUND;
    EFI_STATUS status = volume_read(self, name, bytes_max, file);
    return status == EFI_NOT_FOUND ? server_read(self, name, bytes_max, file) : status;
}

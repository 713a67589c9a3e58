"""How QEMU starts a Piglet: the kernel itself by PVH, or UEFI (OVMF) with a disk, an ISO or the network."""
import os

from .namespace import LabError

CODE, VARIABLES = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
ROMS = "/usr/lib/ipxe/qemu"
NETWORK = "network"  # in place of an image: what the network has
BIOS_NETWORK = "network, by BIOS"
BUSES = {"sata": ("ide-hd",), "usb": ("usb-storage,removable=on", "qemu-xhci"), "virtio": ("virtio-blk-pci",)}
UEFI_MEMORY = "128M"  # OVMF itself needs that much


def is_uefi(start):
    return start == NETWORK or start.endswith((".img", ".iso"))


def start_options(start, words, bus="sata"):
    """QEMU's options. `start`: a disk (.img), an .iso, NETWORK, BIOS_NETWORK, or a kernel; `words` are for a kernel only."""
    if start == BIOS_NETWORK:
        return []
    if not is_uefi(start):
        return ["-kernel", start, "-append", words]
    for file in (CODE, VARIABLES):
        if not os.path.exists(file):
            raise LabError(f"{file} is missing", "sudo apt-get install ovmf")
    options = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}",
               "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={VARIABLES}"]
    if start == NETWORK:
        return options
    drive = f"if=none,id=start,format=raw,file={start.replace(',', ',,')}"
    if start.endswith(".iso"):
        return options + ["-drive", f"{drive},media=cdrom,readonly=on", "-device", "ide-cd,drive=start,bootindex=0"]
    disk, *controllers = BUSES[bus]
    for controller in controllers:
        options += ["-device", controller]
    return options + ["-drive", f"{drive},snapshot=on", "-device", f"{disk},drive=start,bootindex=0"]


def rom(start, model, index):
    """The options of a nic that say whether firmware boots from it: iPXE's program, or none.
    Loading one takes a tenth of a second."""
    if start in (NETWORK, BIOS_NETWORK) and index == 0:
        kind = "efi" if start == NETWORK else "pxe"
        program = model.split("-")[0]  # virtio-net-pci: efi-virtio.rom
        return f"romfile={os.path.join(ROMS, f'{kind}-{program}.rom')},bootindex=0"
    return "romfile="

"""A Linux to start in QEMU: Debian's kernel and busybox, which tools/linux-guest has fetched, and a file system for them."""
import glob
import os
import subprocess

from .machine import build_directory

STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
SECTION_ALIGN = 4096


def folder():
    """What tools/linux-guest made, or None."""
    path = os.path.join(build_directory(), "linux")
    return path if os.path.exists(os.path.join(path, "bin", "busybox")) else None


def missing():
    """Why there can be no Linux, or None."""
    return None if folder() else "no Linux kernel to boot; cure: tools/linux-guest build/linux, with network"


def kernel():
    return glob.glob(os.path.join(folder(), "boot", "vmlinuz-*"))[0]


def modules(names):
    """The files of these modules ("drivers/net/virtio_net"), in this order; those built into the kernel have none."""
    tree = os.path.join(glob.glob(os.path.join(folder(), "lib", "modules", "*"))[0], "kernel")
    paths = [os.path.join(tree, f"{name}.ko") for name in names]
    return [path for path in paths if os.path.exists(path)]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def _entry(inode, name, mode, data=b"", device=(0, 0)):
    """One file of a cpio archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def file_system(folders, files):
    """An archive for -initrd. `files`: (name, contents) pairs, all of them programs; busybox and a console are there."""
    entries = [(name, 0o40755) for name in ("bin", "dev", "proc", "sys", *folders)]
    entries += [("dev/console", 0o20600, b"", (5, 1))]
    busybox = read(os.path.join(folder(), "bin", "busybox"))
    entries += [(name, 0o100755, data) for name, data in (("bin/busybox", busybox), *files)]
    return b"".join(_entry(inode, *one) for inode, one in enumerate([*entries, ("TRAILER!!!", 0)], 1))


def uefi_program(path, words, archive):
    """Kernel, words and file system as one UEFI program, as systemd's boot stub carries them."""
    stub = os.path.join(folder(), STUB)
    headers = subprocess.run(["objdump", "-h", "-w", stub], check=True, stdout=subprocess.PIPE, text=True).stdout
    sections = [line.split() for line in headers.splitlines() if line[:3].strip().isdigit()]
    place = max(int(words[2], 16) + int(words[3], 16) for words in sections)
    command = ["objcopy"]
    with open(f"{path}.words", "w", encoding="ascii") as file:
        file.write(words)
    with open(f"{path}.initrd", "wb") as file:
        file.write(archive)
    for name, source in ((".cmdline", f"{path}.words"), (".linux", kernel()), (".initrd", f"{path}.initrd")):
        place = (place + SECTION_ALIGN - 1) // SECTION_ALIGN * SECTION_ALIGN
        command += ["--add-section", f"{name}={source}", "--change-section-vma", f"{name}={place:#x}"]
        place += os.path.getsize(source)
    subprocess.run([*command, stub, path], check=True)

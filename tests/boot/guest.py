"""A Linux guest in QEMU, behind an emulated IOMMU, whose nics Piglet can have through VFIO.

The guest's file system is made here: busybox, a Linux process Piglet with its libraries, VFIO's modules, and an init that
runs what it reads from the second serial port. tools/linux-guest has fetched the kernel."""
import os
import re
import socket
import subprocess

from lab import linux, machine

MEMORY = "384M"
FIRST_SLOT = 4  # of the nics on PCI bus 0
MODULES = ("virt/lib/irqbypass", "drivers/vfio/vfio", "drivers/vfio/vfio_virqfd", "drivers/vfio/vfio_iommu_type1",
           "drivers/vfio/pci/vfio-pci-core", "drivers/vfio/pci/vfio-pci")  # in the order of their needs
FOLDERS = ("etc", "lib", "lib64", "lib/x86_64-linux-gnu", "modules")
WORDS = "console=ttyS0 intel_iommu=on quiet loglevel=4 panic=-1"
USERS = b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"
UP_TIMEOUT_S = 60  # Linux boots in three seconds; on a busy computer in many more
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for module in %s; do insmod /modules/$module.ko; done
exec 3</dev/ttyS1
stty -F /dev/ttyS1 raw -echo
give() { # ADDRESS... to VFIO
    for address; do
        echo vfio-pci >/sys/bus/pci/devices/$address/driver_override
        echo $address >/sys/bus/pci/drivers_probe
    done
}
echo guest: up
while read -r order <&3; do
    eval "$order"
done
"""


def address(nic=0):
    return f"0000:00:{FIRST_SLOT + nic:02x}.0"


missing = linux.missing


def libraries(program):
    text = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r"(/\S+) \(0x", text)


def file_system(piglet):
    """A descriptor of the archive, in memory."""
    modules = linux.modules(MODULES)
    init = INIT % " ".join(os.path.basename(path).removesuffix(".ko") for path in modules)
    files = [("init", init.encode()), ("etc/passwd", USERS), ("piglet", linux.read(piglet))]
    files += [(path.lstrip("/"), linux.read(path)) for path in libraries(piglet)]
    files += [(f"modules/{os.path.basename(path)}", linux.read(path)) for path in modules]
    archive = os.memfd_create("guest", 0)
    with open(archive, "wb", closefd=False) as out:
        out.write(linux.file_system(FOLDERS, files))
    return archive


class Guest(machine.Qemu):
    """A Linux guest that is up, with this program for /piglet. `nics`: as machine.Qemu has them."""

    def __init__(self, program, nics, fds=(), iommu="intel-iommu,caching-mode=on,intremap=on"):
        archive = file_system(program)
        self._orders, theirs = socket.socketpair()
        nics = [(f"{model},addr={FIRST_SLOT + i}", netdev) for i, (model, netdev) in enumerate(nics)]
        extra = ["-initrd", f"/proc/self/fd/{archive}", "-chardev", f"socket,id=orders,fd={theirs.fileno()}",
                 "-serial", "chardev:orders"]
        if iommu:
            extra += ["-device", iommu]
        with theirs:
            super().__init__(linux.kernel(), WORDS, "q35,kernel-irqchip=split", MEMORY, nics, extra,
                             fds=(archive, theirs.fileno(), *fds))
        os.close(archive)
        self.console.wait("guest: up", UP_TIMEOUT_S)

    def order(self, line):
        """Has the guest's shell run a line."""
        self._orders.sendall(line.encode() + b"\n")

    def tell(self, line, pattern, timeout=UP_TIMEOUT_S):
        """The same, and waits for what it prints."""
        mark = self.console.mark()
        self.order(line)
        return self.console.wait(pattern, timeout, since=mark)

    def stop(self):
        self._orders.close()
        return super().stop()


class VfioPiglet(Guest):
    """Piglet in such a guest, on all its nics: the same handle as a Piglet anywhere else."""

    def __init__(self, program, words, nics, fds=()):
        super().__init__(program, nics, fds)
        addresses = [address(i) for i in range(len(nics))]
        options = " ".join(f"--nic vfio:{one}" for one in addresses)
        self.order(f"give {' '.join(addresses)}; /piglet {options} -- '{words}' </dev/null; echo guest: piglet ended $?")

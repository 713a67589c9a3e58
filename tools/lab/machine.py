"""Starting Piglet: in QEMU, or as a Linux process. Both give the same handle to tests and demos."""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import console, firmware
from .namespace import LabError, tied

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_TIMEOUT_S = 20  # a boot takes half a second; on a busy computer several
STOP_TIMEOUT_S = 5
WINDOW_BYTES_MIN, WINDOW_BYTES_MAX = 64 << 10, 64 << 20
MAC_FIRST = 0x525400123456
FAULT_ALWAYS = 2 ** 32 - 1


def build_directory():
    return os.path.join(ROOT, os.environ.get("BUILD") or "build")


def mac_of(index):
    return ":".join(f"{byte:02x}" for byte in (MAC_FIRST + index).to_bytes(6, "big"))


class Machine:
    """A running Piglet. `started` is the time.monotonic() just before its program was started."""

    def __init__(self, command, namespace=None, sink=None, pass_fds=()):
        self.command = command
        self.started = time.monotonic()
        options = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       pass_fds=pass_fds, start_new_session=True)
        if namespace:
            with namespace:
                self.process = subprocess.Popen(tied(command), **options)
        else:
            self.process = subprocess.Popen(tied(command), **options)
        self.console = console.Console(self.process.stdout, sink)

    def wait_ready(self, timeout=READY_TIMEOUT_S):
        self.console.wait(console.READY, timeout)
        return self

    def counters(self):
        return self.console.counters()

    def failure(self):
        """Why this machine is broken: a line, or None."""
        if self.console.trouble:
            return self.console.trouble
        if self.process.poll() is not None:
            return f"ended with status {self.process.returncode}"
        return None

    def stop(self):
        """Ends it in order, and gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class Qemu(Machine):
    """Piglet in QEMU under TCG. `start`: an .elf, or what firmware.start_options takes. `nics`: (model, netdev
    arguments) pairs, in PCI order."""

    def __init__(self, start, words="", machine="q35", memory="64M", nics=(), extra=(), sink=None, fds=(), bus="sata",
                 model_options=()):
        ours, theirs = socket.socketpair()
        self._control, models = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._modelled = [i for i, (model, _) in enumerate(nics) if model == "ixgbe"]
        with theirs, models:
            command = qemu_command(start, words, machine, memory, nics,
                                   ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                                    "-mon", "chardev=qmp,mode=control", *extra], bus, models.fileno(), model_options)
            super().__init__(command, None, sink, (theirs.fileno(), models.fileno(), *fds))
        ours.settimeout(10)
        self._control.settimeout(10)
        self._qmp_socket, self._qmp = ours, None

    def qmp(self, execute, **arguments):
        """One QMP command, with its answer."""
        if self._qmp is None:
            self._qmp = self._qmp_socket.makefile("rw", encoding="utf-8")
            self._qmp.readline()  # the greeting
            self.qmp("qmp_capabilities")
        self._qmp.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            answer = json.loads(self._qmp.readline())
            if "error" in answer:
                raise AssertionError(f"QMP {execute}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def set_link(self, nic, up):
        if nic in self._modelled:
            self.fault(nic, "link-down", 0 if up else FAULT_ALWAYS)
        else:
            self.qmp("set_link", name=f"nic{nic}", up=up)

    def fault(self, nic, name, times=1):
        """The model behind this nic does something wrong, as `ixgbe-model --help` lists, so many times."""
        self._control.send(f"{self._modelled.index(nic)} {name} {times}".encode())
        answer = self._control.recv(100).decode()
        if answer != "ok":
            raise AssertionError(f"fault {name} of nic{nic}: {answer or 'the model is gone'}")

    def received(self):
        """Returns when what was read off the wires is in the rings: whoever puts it there is who answers."""
        if self._modelled:
            self._control.send(b"?")
            self._control.recv(100)
        else:
            self.qmp("query-status")

    def stop(self):
        status = super().stop()
        if self._qmp:
            self._qmp.close()
        self._qmp_socket.close()
        self._control.close()
        return status


def qemu_command(start, words, machine, memory, nics, extra=(), bus="sata", control=None, model_options=()):
    """The command line. Nics called "ixgbe" are those of our model (tests/model), which then starts QEMU; `control`
    is a descriptor it takes faults by, `model_options` are more words for it."""
    if not shutil.which("qemu-system-x86_64"):
        raise LabError("qemu-system-x86_64 is missing", "sudo apt-get install qemu-system-x86")
    modelled = [(i, netdev) for i, (model, netdev) in enumerate(nics) if model == "ixgbe"]
    accelerator, memory_words = "tcg", []
    if modelled:
        # The model reaches the guest's memory, and serves one access at a time.
        accelerator, machine = "tcg,thread=single", f"{machine},memory-backend=ram"
        memory_words = ["-object", f"memory-backend-memfd,id=ram,size={memory},share=on"]
    command = ["qemu-system-x86_64", *memory_words, "-machine", machine, "-accel", accelerator, "-m", memory,
               "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
               *firmware.start_options(start, words, bus)]
    sockets = 0
    for i, (model, netdev) in enumerate(nics):
        if model == "ixgbe":
            command += ["-device", f"x-pci-proxy-dev,id=nic{i},fd={{fd{sockets}}}"]
            sockets += 1
            continue
        command += ["-netdev", f"{netdev},id=wire{i}",
                    "-device", f"{model},id=nic{i},netdev=wire{i},mac={mac_of(i)},{firmware.rom(start, model, i)}"]
    command += extra
    return model_command(modelled, control, model_options) + command if modelled else command


def model_command(modelled, control, options):
    """What starts the models, up to QEMU's own command. `modelled`: (index, netdev) pairs."""
    program = os.path.join(build_directory(), "tests", "model", "ixgbe-model")
    if not os.path.exists(program):
        raise LabError(f"{program} is not there", "`make` builds it")
    command = [program, "--cpu", str(model_processor()), "--strict", *options]
    if control is not None:
        command += ["--control", str(control)]
    for i, netdev in modelled:
        command += ["--mac", mac_of(i), "--wire", wire_of(netdev)]
    return [*command, "--"]


def model_processor():
    """Each access to a register goes from QEMU to the model and back: on one processor that is five times faster."""
    processors = sorted(os.sched_getaffinity(0))
    return processors[os.getpid() % len(processors)]


def wire_of(netdev):
    """QEMU's -netdev as the model says it."""
    kind, _, rest = netdev.partition(",")
    words = dict(word.split("=", 1) for word in rest.split(",") if "=" in word)
    if kind == "tap":
        return f"fd:{words['fd']}" if "fd" in words else f"tap:{words['ifname']}"
    if kind == "dgram":
        return f"dgram:{words['local.path']},{words['remote.path']}"
    if kind == "hubport":
        return "none"
    raise LabError(f"QEMU's network {kind} cannot be a wire of the ixgbe model", "give it --tap or --dgram")


def compiled(configs):
    """A descriptor of a file in memory: these configuration files as one boot module, for -initrd /proc/self/fd/N."""
    module = os.memfd_create("modules", 0)
    for config in configs:
        with tempfile.NamedTemporaryFile(suffix=".psr") as out:
            pigctl = os.path.join(build_directory(), "tools", "pigctl")
            if not os.path.exists(pigctl):
                raise LabError(f"{pigctl} is not there", "`make` builds it")
            done = subprocess.run([pigctl, "compile", config, "-o", out.name], stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise LabError(done.stderr.strip(), f"correct {config}")
            os.write(module, out.read())
    return module


def window(spec):
    """"FILE" or "FILE,BYTES" as a pair."""
    path, _, size = spec.partition(",")
    match = re.fullmatch(r"(\d+)([KM]?)", size or "4M")
    size = int(match[1]) << {"": 0, "K": 10, "M": 20}[match[2]] if match else 0
    if not path or not WINDOW_BYTES_MIN <= size <= WINDOW_BYTES_MAX or size & size - 1:
        raise argparse.ArgumentTypeError(f"{spec}: give FILE or FILE,BYTES with 64K to 64M, a power of two")
    return path, size


def window_devices(windows):
    """QEMU's options for windows in files: (path, bytes) pairs. QEMU makes the files where they are not."""
    options = []
    for i, (path, size) in enumerate(windows):
        options += ["-object", f"memory-backend-file,id=window{i},share=on,mem-path={path.replace(',', ',,')},size={size}",
                    "-device", f"ivshmem-plain,memdev=window{i}"]
    return options


def tap_netdev(tap):
    """QEMU's -netdev for a tap of ours, whichever namespace it is in."""
    return f"tap,fd={tap.fd}"


def dgram_netdev(local, remote):
    return f"dgram,local.type=unix,local.path={local},remote.type=unix,remote.path={remote}"


class Hosted(Machine):
    """Piglet as a Linux process. `nics`: "tap:NAME" and its like, found in `namespace`; `window`: a socket's path;
    `modules`: compiled configurations."""

    def __init__(self, program, words, nics=(), namespace=None, cpu=None, sink=None, window=None, modules=()):
        command = [program]
        for module in modules:
            command += ["--module", module]
        if window:
            command += ["--window", window]
        for nic in nics:
            command += ["--nic", nic]
        if cpu is not None:
            command += ["--cpu", str(cpu)]
        super().__init__([*command, "--", words], namespace, sink)

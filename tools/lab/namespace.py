"""Network namespaces and taps, without leaving anything behind.

A namespace here has no name in the file system: it lives as long as the file descriptor (or a process
in it) does, so that it is gone when this process is, whichever way that ends. Without root, a user
namespace makes this process root over its own namespaces, and over nothing else."""
import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
TAP_QUEUE_FRAMES = 20000  # a test's whole burst fits: the tap never drops, the receiver sets the pace
COMMAND_TIMEOUT_S = 30
ARP_RETRY_MS, ARP_TRIES = 20, 100

libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The computer does not allow it; the text says why, and `cure` what would help."""

    def __init__(self, why, cure):
        super().__init__(why)
        self.cure = cure


def _call(function, *arguments):
    if getattr(libc, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


def become_root():
    """Makes this process able to make namespaces and taps, or leaves it as it is. Call it before there are threads."""
    if why := _tried_apart(_probe):
        if apart := _tried_apart(lambda: (_unshare_user(), _probe())):
            raise LabError(f"this computer allows no network namespace of one's own ({apart if os.geteuid() else why})",
                           "run it as root, or sudo sysctl kernel.unprivileged_userns_clone=1 "
                           "kernel.apparmor_restrict_unprivileged_userns=0 (whichever exists)")
        _unshare_user()


def _probe():
    namespace = Namespace()
    os.close(namespace.open_tap("probe"))
    namespace.close()


def _unshare_user():
    """Root over a user namespace and a network namespace, so that both can be left and entered again."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _tried_apart(action):
    """Why the action fails, tried in a child, as half of it would leave this process without a network; or ""."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
        except (OSError, AssertionError) as error:
            os.write(writer, (getattr(error, "strerror", None) or str(error).splitlines()[0]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        why = pipe.read()
    os.waitpid(child, 0)
    return why


def check_tap():
    """Raises LabError when /dev/net/tun cannot be used."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENODEV)
        raise LabError(f"/dev/net/tun cannot be opened ({error.strerror})",
                       "sudo modprobe tun" if missing else "sudo chmod 666 /dev/net/tun") from None


def tied(command):
    """The command, so that it is killed when the caller dies."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


def give(name, place, *addresses):
    """Moves an interface of this process's network into a namespace, up and with these addresses."""
    done = subprocess.run(["ip", "link", "set", name, "netns", place.path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{name} cannot be taken: {done.stderr.strip()}", "look at `ip link`; run it as root")
    place.interface_up(name, *addresses)


class Tap:
    """A tap: `fd` is the wire's far end, unless the interface was made persistent for somebody else."""

    def __init__(self, namespace, name, fd):
        self.namespace, self.name, self.fd = namespace, name, fd

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class Namespace:
    """A network namespace. `with namespace:` enters it with the calling thread."""

    def __init__(self):
        old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _call("unshare", CLONE_NEWNET)
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            _call("setns", old, CLONE_NEWNET)
        finally:
            os.close(old)
        self._left = []
        self._taps = []
        self._children = []
        self.run("ip link set lo up")

    @property
    def path(self):
        """As ip's `netns` takes it."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        self._left.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _call("setns", self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        old = self._left.pop()
        _call("setns", old, CLONE_NEWNET)
        os.close(old)

    def run(self, command, check=True, timeout=COMMAND_TIMEOUT_S):
        """Runs a command (a string of words, or a list) in the namespace; its output comes back as text."""
        words = command.split() if isinstance(command, str) else command
        with self:
            done = subprocess.run(tied(words), capture_output=True, text=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, command, **options):
        """Starts a command in the namespace; it is killed with the namespace."""
        words = command.split() if isinstance(command, str) else command
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
                   "text": True, "start_new_session": True, **options}
        with self:
            child = subprocess.Popen(tied(words), **options)
        self._children.append(child)
        return child

    def open_tap(self, name):
        """The descriptor of a tap made here, which is gone when that is closed."""
        with self:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        return fd

    def tap(self, name, *addresses, persistent=False):
        """Makes a tap here, up, with these addresses ("10.0.0.1/24") and no IPv6 chatter."""
        fd = self.open_tap(name)
        tap = Tap(self, name, fd)
        if persistent:
            fcntl.ioctl(fd, TUNSETPERSIST, 1)
            tap.close()
        self._taps.append(tap)
        self.interface_up(name, *addresses)
        return tap

    def interface_up(self, name, *addresses):
        self.run(f"ip link set {name} txqueuelen {TAP_QUEUE_FRAMES} addrgenmode none")
        for address in addresses:
            self.run(f"ip address add {address} dev {name}")
        self.run(f"ip link set {name} up")
        # An unanswered ARP request is repeated after 20 ms, not 1 s: a test of start-up measures Piglet. Three
        # tries, as by default, would then give up on a busy computer.
        self.run(f"ip ntable change name arp_cache dev {name} retrans {ARP_RETRY_MS} "
                 f"ucast_probes {ARP_TRIES} mcast_probes {ARP_TRIES}")

    def move(self, name, other, *addresses):
        """Gives an interface to another namespace; what is plugged in at its far end stays plugged in."""
        self.run(f"ip link set {name} netns {other.path}")
        other.interface_up(name, *addresses)

    def socket(self, *arguments):
        with self:
            return socket.socket(*arguments)

    def mac(self, name):
        words = self.run(f"ip -o link show {name}").stdout.split()
        return words[words.index("link/ether") + 1]

    def close(self):
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for tap in self._taps:
            tap.close()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

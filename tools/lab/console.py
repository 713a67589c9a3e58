"""What Piglet says on its console: reading it, and the one place that knows the wording."""
import re
import threading
import time

SETTLE_S = 0.1  # from a frame sent to it counted, and from a line printed to it read, with a busy host
STAMP = re.compile(r"^\[ *(\d+\.\d+)\] ")

READY = r"\bpiglet: ready\b"
TROUBLE = r"PANIC|AddressSanitizer|LeakSanitizer|runtime error:|Blocked re-entrant|ixgbe-model: nic\d+: violation"
STATUS = r"\bstatus: up (?P<up>\d+) s, rx (?P<rx>\d+), tx (?P<tx>\d+), load (?P<load>[\d.]+) %, " \
         r"drops (?P<drops>\d+)(?P<why>.*)"
COUNTER = re.compile(r"\bcounter (?P<name>[\w.-]+) (?P<value>\d+)$")
COUNTERS_END = re.compile(r"\bcounter end$")


def nic_found(nic):
    return rf"\b{nic}: \S+ (?P<mac>[0-9a-f:]{{17}}) at (?P<where>.+)"


def link_up(nic):
    return rf"\b{nic}: link up (?P<mbps>\d+) Mb/s"


def link_down(nic):
    return rf"\b{nic}: link down"


def address_taken(nic, address):
    return rf"\b{nic}: address {re.escape(address)}"


def gateway_at(gateway):
    return rf"\barp: gateway {re.escape(gateway)} on (?P<nic>\w+) is at (?P<mac>[0-9a-f:]{{17}})"


def gateway_silent(gateway):
    return rf"\barp: gateway {re.escape(gateway)} on (?P<nic>\w+) does not answer"


def address_conflict(address):
    return rf"\barp: address {re.escape(address)} on (?P<nic>\w+) is (in use|claimed) by (?P<mac>[0-9a-f:]{{17}})"


NO_NIC = r"\bnic: none found"
NO_DRIVER = r"\bnic: .*no driver for network device (?P<id>[0-9a-f]{4}:[0-9a-f]{4})"


def word_refused(word, column):
    return rf"column {column}\b.*{re.escape(word)}|{re.escape(word)}.*\bcolumn {column}\b"


class MachineFailed(Exception):
    """Piglet panicked, ended, or did not say what it should have in time."""


class Console:
    """Reads a stream of lines in a thread and answers questions about what came."""

    def __init__(self, stream, sink=None):
        self._stream, self._sink = stream, sink
        self._changed = threading.Condition()
        self.lines = []
        self.times = []  # of time.monotonic(), one a line
        self.ended = False
        self.trouble = None  # the first line that tells of a panic or fault
        self._dump, self.dumps = {}, []  # the counters coming in; all complete dumps
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for raw in self._stream:
            line = raw.decode("ascii", "replace").rstrip("\r\n")
            with self._changed:
                self._take(line)
                self._changed.notify_all()
            if self._sink:
                self._sink(line)
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _take(self, line):
        self.lines.append(line)
        self.times.append(time.monotonic())
        if self.trouble is None and re.search(TROUBLE, line):
            self.trouble = line
        if counter := COUNTER.search(line):
            self._dump[counter["name"]] = int(counter["value"])
        elif COUNTERS_END.search(line):
            self.dumps.append(self._dump)
            self._dump = {}

    @property
    def text(self):
        return "\n".join(self.lines)

    def tail(self, count=40):
        return "\n".join([line for line in self.lines if not re.search(r"\bcounter \S+", line)][-count:])

    def mark(self):
        """A position; `wait(..., since=mark)` looks at what comes after it."""
        return len(self.lines)

    def find(self, pattern, since=0):
        for line in self.lines[since:]:
            if match := re.search(pattern, line):
                return match
        return None

    def _until(self, question, timeout, what):
        """The first true answer; an end or a panic, or no answer in time, raises MachineFailed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if answer := question():
                    return answer
                left = deadline - time.monotonic()
                if self.trouble:
                    self._changed.wait(0.5)  # let the report come in whole
                    raise MachineFailed(f"while waiting for {what}: {self.trouble}\n{self.tail()}")
                if self.ended or left <= 0:
                    reason = "the machine ended" if self.ended else f"not within {timeout} s"
                    raise MachineFailed(f"{what}: {reason}; the console:\n{self.tail()}")
                self._changed.wait(left)

    def wait(self, pattern, timeout=10, since=0):
        """The match of the first line to contain the pattern."""
        seen = since

        def question():
            nonlocal seen
            while seen < len(self.lines):
                seen += 1
                if match := re.search(pattern, self.lines[seen - 1]):
                    return match
            return None
        return self._until(question, timeout, f"/{pattern}/")

    def counters(self, timeout=15):
        """All counters, from a dump that began after this call."""
        time.sleep(SETTLE_S)  # a dump that had begun before the call shows by now
        with self._changed:
            wanted = len(self.dumps) + (2 if self._dump else 1)
        self._until(lambda: len(self.dumps) >= wanted, timeout, "a dump of the counters")
        return dict(self.dumps[wanted - 1])

"""Lines that scroll, and below them a status that is refreshed in place; plain lines when piped."""
import os
import re
import shutil
import sys
import threading

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ESCAPE = re.compile(r"\x1b\[[0-9;=]*[A-Za-z]")


class Screen:
    """Thread-safe. `live` says whether there is a terminal that can refresh a status."""

    def __init__(self, stream=sys.stdout):
        self._stream = stream
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colour = self.live and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._status = []

    def paint(self, text, *styles):
        if not self._colour:
            return text
        return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"

    def _write(self, text):
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:  # nobody reads on: no reason to fail
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _erase(self):
        count = len(self._status)
        return (f"\x1b[{count}A" if count else "") + ("\r\x1b[J" if self.live else "")

    def _cut(self, line):
        """A status line wider than the terminal would wrap, and could not be erased."""
        width = shutil.get_terminal_size().columns - 1
        return line if len(ESCAPE.sub("", line)) <= width else ESCAPE.sub("", line)[:width]

    def line(self, text=""):
        """Prints a line above the status."""
        with self._lock:
            status = "".join(line + "\n" for line in self._status)
            self._write(f"{self._erase()}{text}\n{status}" if self.live else f"{text}\n")

    def status(self, *lines):
        """Replaces the status; without a terminal nothing is shown."""
        if not self.live:
            return
        with self._lock:
            erase = self._erase()
            self._status = [self._cut(line) for line in lines]
            self._write(erase + "".join(line + "\n" for line in self._status))

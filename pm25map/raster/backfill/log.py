"""The log of a folder of maps: one line of JSON a day, for machines."""

import json
from typing import Any

from pm25map.base.storage import Folder, LocalFolder

LOG_FILE = "backfill.jsonl"


class DayLog:
    """Appends lines; on a disk each is flushed at once, in an object store the log is put at every flush."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        content = folder.read(LOG_FILE) or b""
        # The last line may have been cut when the plug was pulled.
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            folder.write(LOG_FILE, whole)
        self._lines = whole.decode(errors="replace")
        lines = [_read(line) for line in self._lines.splitlines()]
        self._done = {line.get("day"): line.get("sha256") for line in lines if line.get("state") == "done"}

    def knows(self, day: str, sha256: str) -> bool:
        """Return whether the log already says that a day was done with this very map."""
        return self._done.get(day) == sha256

    def add(self, **line: Any) -> None:
        """Write the line of a day."""
        text = json.dumps(line) + "\n"
        if isinstance(self._folder, LocalFolder):
            self._folder.path.mkdir(parents=True, exist_ok=True)
            with (self._folder.path / LOG_FILE).open("a", encoding="utf-8") as handle:
                handle.write(text)
        else:
            self._lines += text

    def flush(self) -> None:
        """Put the log where it cannot be appended to."""
        if not isinstance(self._folder, LocalFolder):
            self._folder.write(LOG_FILE, self._lines.encode())


def _read(line: str) -> dict[str, Any]:
    """Read a line; one that somebody else wrote, or a power cut spoiled, says nothing."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}

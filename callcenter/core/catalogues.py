"""The words of other languages: text catalogues (.po) become what Django reads (.mo), without any tool but Babel.

`python -m callcenter.core.catalogues` compiles what is older than its source. Settings do the same at boot, so
that a checkout brought up to date never shows yesterday's words. Finding the texts is `manage.py messages`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCALE = ROOT / "locale"
#: Two folders, so that two people can translate at a time; where both know a text, the first one counts.
FOLDERS = (LOCALE / "site", LOCALE / "work")


def sources(folders: Iterable[Path] = FOLDERS) -> list[Path]:
    """Return every text catalogue."""
    return sorted(path for folder in folders for path in folder.glob("*/LC_MESSAGES/*.po"))


def compile_stale(folders: Iterable[Path] = FOLDERS) -> list[Path]:
    """Compile each catalogue that is newer than its compiled form; return those. Raises ValueError for a wrong one."""
    made = []
    for source in sources(folders):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        _compile(source, target)
        made.append(target)
    return made


def _compile(source: Path, target: Path) -> None:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import PoFileError, read_po

    try:
        with source.open("rb") as stream:
            catalogue = read_po(stream, locale=source.parent.parent.name, abort_invalid=True)
    except PoFileError as error:
        raise ValueError(f"{source.relative_to(ROOT)} is not a catalogue: {error}") from error
    # Web and workers may boot at the same time: each writes a file of its own and puts it in place whole.
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as stream:
        write_mo(stream, catalogue)
    os.chmod(name, 0o644)
    os.replace(name, target)


def release(folders: Iterable[Path] = FOLDERS) -> str:
    """Return a short name for the present words; pages address them by it, so that browsers may keep them for good."""
    digest = hashlib.sha256()
    for source in sources(folders):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def main() -> int:
    made = compile_stale()
    for path in made:
        print(f"compiled {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

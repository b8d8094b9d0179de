"""Draws `demo.svg`, the picture in the README: what `tollkeeper demo` really printed in a terminal of 112 columns.

    .venv/bin/python docs/images/draw_demo.py [--seconds 20]

The picture loads nothing from elsewhere: it names the fonts that a reader's machine has.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 112, 50
PICTURE = Path(__file__).with_name("demo.svg")
PROGRAM = "import sys; sys.argv[0] = 'tollkeeper'; from gateway.cli import main; main()"
"""What the installed command does, and it calls itself so."""
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", default="20")
    output = in_terminal([sys.executable, "-c", PROGRAM, "demo", "--seconds", parser.parse_args().seconds])
    PICTURE.write_text(drawn(settled(output)), encoding="utf-8")
    print(f"wrote {PICTURE} ({PICTURE.stat().st_size:,} bytes)")


def in_terminal(command: list[str]) -> str:
    """What a command prints, with its colours, because it finds itself in a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(sys.stdout.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        environ = plain | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execve(command[0], command, environ)  # noqa: S606 - the program that is drawn
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end has closed
            break
        if not part:
            break
        parts.append(part)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{' '.join(command[3:])} failed:\n{b''.join(parts).decode()}")
    return b"".join(parts).decode()


def settled(output: str) -> str:
    """The output as it stands at the end: of a line that was drawn again and again, the last state."""
    lines = []
    for line in output.replace("\r\n", "\n").split("\n"):
        last = re.split(r"\r|\x1b\[2K", line)[-1]
        lines.append(re.sub(r"\x1b\[\??[0-9;]*[A-Zhl]", "", last))
    return "\n".join(lines).strip("\n")


def drawn(output: str) -> str:
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(output))
        form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        form = re.sub(r"font-family: [^;]*;", f"font-family: {FONTS};", form)
        picture = console.export_svg(title="tollkeeper demo", code_format=form, unique_id="demo")
    return re.sub(r"[ \t]+\n", "\n", picture)


if __name__ == "__main__":
    main()

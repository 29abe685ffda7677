#!/usr/bin/env python3
"""Corpus files are text, libFuzzer wants bytes: this goes from one to the other.

corpus.py unpack FOLDER OUT   every .hex file of FOLDER as its bytes, under its name, in OUT
corpus.py pack FILE           the bytes of FILE as the text of a .hex file, on standard output
"""

import pathlib
import sys
import textwrap


def unpack(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.hex"):
        text = "".join(line.split("#")[0] for line in file.read_text().splitlines())
        (out / file.stem).write_bytes(bytes.fromhex(text))


def pack(file):
    print("# What this is, and what it once did.")
    print("\n".join(textwrap.wrap(file.read_bytes().hex(" "), 96)))


def main():
    match sys.argv[1:]:
        case ["unpack", folder, out]:
            unpack(pathlib.Path(folder), pathlib.Path(out))
        case ["pack", file]:
            pack(pathlib.Path(file))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

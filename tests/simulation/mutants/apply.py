#!/usr/bin/env python3
"""Mutants of the code under test: lists them for CMake, and writes one's changed source files.

  apply.py list TABLE                      one line a mutant: ID;IS-TESTED;FIRST-SEED;FILE;FILE...
  apply.py write TABLE ID SOURCE-DIR OUT-DIR   the files of that mutant, changed, below OUT-DIR

Fails, naming the mutant and the file, where an edit's old text does not stand exactly once.
"""

import json
import os
import sys


def mutants(table):
    with open(table, encoding="utf-8") as text:
        return {mutant["id"]: mutant for mutant in json.load(text)["mutants"]}


def files_of(mutant):
    return sorted({edit["file"] for edit in mutant["edits"]})


def write(mutant, source_dir, out_dir):
    for name in files_of(mutant):
        with open(os.path.join(source_dir, name), encoding="utf-8") as source:
            text = source.read()
        for edit in mutant["edits"]:
            if edit["file"] != name:
                continue
            count = text.count(edit["old"])
            if count != 1:
                sys.exit(f"mutant {mutant['id']}: its text stands {count} times in {name}, must once: "
                         f"bring tests/simulation/mutants/mutants.json up to date\n{edit['old']}")
            text = text.replace(edit["old"], edit["new"])
        path = os.path.join(out_dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)


def main(arguments):
    command, table = arguments[0], mutants(arguments[1])
    if command == "list":
        for mutant in table.values():
            numbers = [int(mutant["is_tested"]), mutant.get("first_seed", 1)]
            print(";".join([mutant["id"]] + [str(number) for number in numbers] + files_of(mutant)))
    else:
        write(table[arguments[2]], arguments[3], arguments[4])


if __name__ == "__main__":
    main(sys.argv[1:])

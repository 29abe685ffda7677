#!/usr/bin/env python3
"""Runs a mutant until a seed catches it; fails if none does, or if it cannot be run at all, or if
the code without the mutant breaks a rule at that seed too: then the seed says nothing of the mutant.

  mutant_test.py SIMULATOR MUTANT FIRST-SEED SEEDS
"""

import re
import subprocess
import sys

CAUGHT = 1  # the simulator's exit status where a rule was broken


def main(simulator, mutant, first, seeds):
    last = int(first) + int(seeds) - 1
    run = subprocess.run([simulator, "--mutant", mutant, "--seeds", f"{first}-{last}"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    violation = re.search(r"VIOLATION at seed (\d+).*", run.stdout)
    if run.returncode == CAUGHT and violation:
        seed = violation.group(1)
        print(f"{mutant}: caught by seed {seed}\n{violation.group(0)}")
        clean = subprocess.run([simulator, "--seed", seed], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
        if clean.returncode != 0:
            print(f"without {mutant} seed {seed} fails as well:\n{clean.stdout[-2000:]}")
        return clean.returncode
    print(f"{mutant}: survived {seeds} seeds, or did not run (status {run.returncode}):\n{run.stdout[-2000:]}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Figures of a run: by name and counter, one value a round. No I/O."""

import statistics


class Figures:
    """{name: {counter: [value of round 1, of round 2, ...]}}; None where a round has none."""

    def __init__(self, rounds, values=None):
        self.rounds = rounds
        self.values = values if values is not None else {}

    def add(self, round_number, name, counters):
        """Counters that are no numbers (names, units) are passed over."""
        mine = self.values.setdefault(name, {})
        for counter, value in counters.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                mine.setdefault(counter, [None] * self.rounds)[round_number] = value

    def of(self, name, counter):
        return self.values.get(name, {}).get(counter, [None] * self.rounds)

    def median(self, name, counter):
        present = [v for v in self.of(name, counter) if v is not None]
        return statistics.median(present) if present else None

    def ratio(self, name, counter, to_name, to_counter=None):
        """The median of the rounds' ratios: what was measured side by side is compared, and nothing else."""
        pairs = zip(self.of(name, counter), self.of(to_name, to_counter or counter))
        ratios = [a / b for a, b in pairs if a is not None and b]
        return statistics.median(ratios) if ratios else None

    def names(self, prefix):
        return [name for name in self.values if name.startswith(prefix)]


def from_google_benchmark(document):
    """{name: counters} of a --benchmark_out file; runs that failed are left out."""
    found = {}
    for run in document.get("benchmarks", []):
        if run.get("error_occurred") or run.get("run_type") == "aggregate":
            continue
        name = run["name"].split("/iterations:")[0].split("/real_time")[0].split("/process_time")[0]
        found[name] = {k: v for k, v in run.items() if k not in ("family_index", "per_family_instance_index",
                                                                 "repetitions", "repetition_index", "threads",
                                                                 "iterations")}
    return found


def failures_of(document):
    return [f"{run['name']}: {run.get('error_message', '')}" for run in document.get("benchmarks", [])
            if run.get("error_occurred")]

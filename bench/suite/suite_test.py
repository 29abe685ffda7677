#!/usr/bin/env python3
"""The parts of the suite that compute: medians, ratios, verdicts, growth."""

import unittest

import figures
import goals
import memory
import report


def run_of(values):
    made = figures.Figures(3)
    for name, counters in values.items():
        for round_number in range(3):
            made.add(round_number, name, {k: v[round_number] for k, v in counters.items()})
    return made


class FiguresTest(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # The machine was three times slower in round 2, for both alike.
        made = run_of({"a": {"p50_us": [20, 60, 22]}, "b": {"p50_us": [10, 30, 10]}})
        self.assertEqual(made.ratio("a", "p50_us", "b"), 2)
        self.assertEqual(made.median("a", "p50_us"), 22)

    def test_rounds_that_one_side_lacks_do_not_count(self):
        made = figures.Figures(3)
        made.add(0, "a", {"x": 6.0})
        made.add(2, "a", {"x": 9.0, "unit": "s", "ok": True})
        made.add(2, "b", {"x": 3.0})
        self.assertEqual(made.of("a", "x"), [6.0, None, 9.0])
        self.assertEqual(made.ratio("a", "x", "b"), 3)
        self.assertIsNone(made.ratio("a", "x", "c"))
        self.assertEqual(list(made.values["a"]), ["x"])

    def test_reads_google_benchmark(self):
        document = {"benchmarks": [
            {"name": "append/clients:1/iterations:1/manual_time", "run_type": "iteration", "p50_us": 7.5},
            {"name": "append/clients:16/iterations:1/manual_time", "error_occurred": True, "error_message": "gone"},
            {"name": "BM_PointSelect", "run_type": "iteration", "cpu_time": 2000.0}]}
        found = figures.from_google_benchmark(document)
        self.assertEqual(sorted(found), ["BM_PointSelect", "append/clients:1"])
        self.assertEqual(found["append/clients:1"]["p50_us"], 7.5)
        self.assertEqual(figures.failures_of(document), ["append/clients:16/iterations:1/manual_time: gone"])


class GoalsTest(unittest.TestCase):
    def judge(self, at_most, limit, value):
        goal = goals.Goal("9", "a thing", "x", limit, at_most, lambda _: value)
        verdict = goals.judge(figures.Figures(1), [goal])[0]
        return verdict.is_met, goals.outcome(verdict)

    def test_verdicts(self):
        self.assertEqual(self.judge(True, 2, 1), (True, "met, 2x better"))
        self.assertEqual(self.judge(True, 2, 3), (False, "**missed**, 1.5x worse"))
        self.assertEqual(self.judge(False, 2, 3), (True, "met, 1.5x better"))
        self.assertEqual(self.judge(False, 2, 1), (False, "**missed**, 2x worse"))
        self.assertEqual(self.judge(True, 2, 0), (True, "met"))
        self.assertEqual(self.judge(True, 1, 1.0004), (True, "met"))
        self.assertEqual(self.judge(True, 1, 1.02), (False, "**missed**, 1.02x worse"))
        self.assertEqual(self.judge(True, 2, None), (None, "not measured"))
        self.assertEqual(self.judge(True, None, 3), (None, ""))

    def test_the_worst_load_decides(self):
        values = {}
        for load, clients in goals.SLOW_LOADS:
            values[f"members/whole/{load}/clients:{clients}"] = {"p50_us": [10, 10, 10]}
            values[f"members/zone-dead/{load}/clients:{clients}"] = {"p50_us": [11, 11, 11]}
        values["members/zone-dead/upsert/clients:64"] = {"p50_us": [15, 15, 90]}
        self.assertEqual(goals.worst_of_members("zone-dead", "p50_us")(run_of(values)), 1.5)

    def test_every_goal_is_there_and_stands_without_figures(self):
        verdicts = goals.judge(figures.Figures(2))
        self.assertEqual({v.goal.number for v in verdicts}, set("1234567"))
        text = goals.table(verdicts)
        self.assertEqual(len(text.splitlines()), 2 + len(goals.GOALS))
        self.assertNotIn("missed", text)

    def test_numbers(self):
        self.assertEqual([goals.number(v) for v in (None, 0, 0.0123, 1.2345, 99.4, 12345.6)],
                         ["-", "0", "0.0123", "1.23", "99.4", "12,346"])


class ReportTest(unittest.TestCase):
    def test_names_are_taken_apart(self):
        self.assertEqual(report.last_number("sql/upsert/clients:64"), 64)

    def test_a_run_without_figures_still_makes_a_page(self):
        run = {"commit": "abc", "rounds": 1, "figures": {}, "machine": {}, "versions": {}, "settings": {},
               "notes": ["etcd: left out"], "minutes": 1.0, "command": "make bench-full", "when": "2026-11-22"}
        text = report.page(run, plots=[])
        self.assertIn("not measured", text)
        self.assertIn("etcd: left out", text)


class MemoryTest(unittest.TestCase):
    def test_steady_is_no_growth(self):
        series = [(t, 100 + (t % 7)) for t in range(0, 600, 5)]
        self.assertFalse(memory.growth(series)["grows"])

    def test_a_warm_up_is_no_growth(self):
        series = [(t, min(300, 20 + 3 * t)) for t in range(0, 600, 5)]
        self.assertFalse(memory.growth(series)["grows"])

    def test_a_leak_is_growth(self):
        series = [(t, 100 + t / 5) for t in range(0, 600, 5)]
        found = memory.growth(series)
        self.assertTrue(found["grows"])
        self.assertGreater(found["last_mib"], found["before_mib"])

    def test_one_peak_is_no_growth(self):
        series = [(t, 400 if t == 500 else 100) for t in range(0, 600, 5)]
        self.assertFalse(memory.growth(series)["grows"])

    def test_a_node_over_its_budget_is_told(self):
        nodes = {"az1-a": [(t, 900) for t in range(0, 600, 5)], "writer": [(t, 100) for t in range(0, 600, 5)]}
        verdict = memory.judge(nodes)
        self.assertFalse(verdict["nodes"]["az1-a"]["within_budget"])
        self.assertTrue(verdict["nodes"]["writer"]["within_budget"])
        self.assertFalse(verdict["is_met"])


if __name__ == "__main__":
    unittest.main()

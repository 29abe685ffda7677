#!/usr/bin/env python3
"""Holds check.py against small trees: one that obeys, and for each rule one that does not."""

import os
import tempfile
import unittest

import check

CLEAN = {
    "common/log/README.md": "# log\n",
    "common/log/CMakeLists.txt": "sextant_core_library(x SOURCES a.cc)\n",
    "common/log/a.h": "// A thing: what it is for, in one line. Core.\n#pragma once\n",
    "common/log/a.cc": "// A thing: how it does it, in one line. Core.\n#include \"common/log/a.h\"\n",
}


def findings(changes):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **changes}.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        tree = check.Tree(root)
        return sorted({rule.__name__ for rule in check.RULES for _ in rule(tree)})


class CheckTest(unittest.TestCase):
    def test_clean_tree(self):
        self.assertEqual(findings({}), [])

    def test_each_rule_bites(self):
        head = "// A thing: what it is for, in one line. Core.\n"
        cases = {
            "core_is_pure": {"common/log/a.cc": head + "#include <thread>\n"},
            "files_say_what_they_are_for": {"common/log/a.cc": "#include <string>\n"},
            "folders_have_readmes": {"cli/CMakeLists.txt": "b.cc", "cli/b.cc": head},
            "files_are_small": {"common/log/a.cc": head + "\n" * 700},
            "functions_are_short": {"common/log/a.cc": head + "void F() {\n" + "  x();\n" * 130 + "}\n"},
            "nothing_is_left_to_do": {"common/log/a.cc": head + "// TO" + "DO later\n"},
            "grpc_codes_stay_in_rpc": {"common/log/a.cc": head + "int x = grpc::StatusCode::OK;\n"},
            "sources_are_built": {"common/log/b.cc": head},
            "tests_do_not_sleep": {"common/log/CMakeLists.txt": "a.cc a_test.cc",
                                   "common/log/a_test.cc": head + "usleep(1);\n"},
            "markdown_links_resolve": {"common/log/README.md": "[x](gone.md)\n"},
            "no_machine_paths": {"common/log/README.md": "see /wo" + "rk/x\n"},
        }
        self.assertEqual(sorted(cases), sorted(rule.__name__ for rule in check.RULES))
        for rule, changes in cases.items():
            with self.subTest(rule):
                self.assertEqual(findings(changes), [rule])

    def test_core_may_not_include_a_shell(self):
        shell = "// Includes what it may not, one line. Core.\n#include \"common/rpc/server.h\"\n"
        self.assertEqual(findings({"common/log/a.cc": shell}), ["core_is_pure"])

    def test_anchors(self):
        good = {"docs/x.md": "# A b, c\n[x](#a-b-c) [y](../common/log/README.md#log)\n"}
        self.assertEqual(findings(good), [])
        self.assertEqual(findings({"docs/x.md": "[y](../common/log/README.md#no)\n"}), ["markdown_links_resolve"])


if __name__ == "__main__":
    unittest.main()

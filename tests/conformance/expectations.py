"""expected_failures.json: form -> reason -> cases. A case listed under `static` may fail in every form. So may those that are wrong
themselves (wrong_cases.py), which are not listed."""

import collections
import glob
import json
import re

from conformance.wrong_cases import WRONG


def group(reason):
    """The reason without the numbers, names and values that differ from case to case."""
    reason = re.sub(r"\(\d+ of \d+; at .*\)", "", reason)
    reason = re.sub(r"'[^']*\.(onnx|so)'", "FILE", reason)
    reason = re.sub(r"\(\d+(, ?\d*)*\)", "(…)", reason)
    reason = re.sub(r"/\S+/", "", reason)  # folders of this machine
    reason = re.sub(r"dim_\d+_\d+", "DIM", reason)
    reason = re.sub(r"(output|input) \"[^\"]*\" has the type \S+\[[^\]]*\]", r"the shape of an \1", reason)
    reason = re.sub(r"input \"[^\"]*\": its type", "an input's type", reason)
    return re.sub(r"\b(index ?|, #)\d+", "", reason).strip()[:160]


def sanitizer_runtime():
    """The shared runtime of clang's address sanitizer."""
    found = sorted(glob.glob("/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.so"))
    if not found:
        raise SystemExit("the address sanitizer's runtime is not installed (libclang-rt-19-dev)")
    return found[0]


class Expectations:
    def __init__(self, path):
        self.path = path
        listed = json.loads(path.read_text()) if path.exists() else {}
        self.reasons = {
            (form, case): reason
            for form, groups in listed.items()
            for reason, names in groups.items()
            for case in names
        }

    def reason(self, form, case):
        """Why `case` may fail in `form`, or None."""
        if case in WRONG:
            return "the case is wrong: " + WRONG[case][0]
        return self.reasons.get((form, case)) or self.reasons.get(("static", case))

    def must_fail(self, form, case):
        """Listed for this very form, so that passing is news."""
        return (form, case) in self.reasons

    def count(self):
        return len(self.reasons)

    def update(self, results):
        static = {r["case"]: r["reason"] for r in results if r["form"] == "static"}
        for r in results:
            self.reasons.pop((r["form"], r["case"]), None)
        for r in results:
            if r["case"] in WRONG:
                continue
            fails_statically = static.get(r["case"]) or ("static", r["case"]) in self.reasons
            if r["reason"] and (r["form"] == "static" or not fails_statically):
                self.reasons[r["form"], r["case"]] = group(r["reason"])
        self.write()

    def write(self):
        grouped = collections.defaultdict(lambda: collections.defaultdict(list))
        for (form, case), reason in self.reasons.items():
            grouped[form][reason].append(case)
        tidy = {
            form: {reason: sorted(names) for reason, names in sorted(groups.items())}
            for form, groups in sorted(grouped.items())
        }
        self.path.write_text(json.dumps(tidy, indent=1, ensure_ascii=False) + "\n")

"""The figures of a run, and the ways to show them."""

import os
import platform
import statistics

import cases


def cpu_model():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()


class Figures:
    def __init__(self, contenders):
        self.names = [each.name for each in contenders]
        self.versions = {each.name: each.version() for each in contenders}
        self.values = {}  # (mtu, what, unit) -> {contender: [value]}
        self.groups = {}  # what -> case

    def add(self, mtu, what, unit, contender, value):
        row = self.values.setdefault((mtu, what, unit), {})
        row.setdefault(contender, []).append(value)

    def machine(self):
        return "\n".join([
            "%s, %d processors, Linux %s" % (
                cpu_model(), os.cpu_count(), platform.release()),
            *("%s: %s" % item for item in self.versions.items())])

    def ratio(self, row, unit):
        """To the best passt: above 1 is more, whatever is better."""
        peers = [statistics.median(values) for name, values in row.items()
                 if name.startswith("passt")]
        if "sallyport" not in row or not peers or not cases.UNITS[unit]:
            return None
        best = max(peers) if cases.UNITS[unit] > 0 else min(peers)
        return statistics.median(row["sallyport"]) / best if best else None

    def rows(self, mtu=None, case=None):
        for (at, what, unit), row in self.values.items():
            if mtu is not None and (at != mtu or
                                    self.groups.get((at, what)) != case):
                continue
            yield at, what, unit, row, self.ratio(row, unit)

    def show(self, mtu, case):
        for (at, what, _) in self.values:
            self.groups.setdefault((at, what), case)
        names = self.names
        print("\n%s%s" % (case, ", MTU %s" % mtu if mtu else ""))
        print("%-34s%-9s" % ("", "") + "".join("%24s" % n for n in names)
              + "%8s" % "ratio")
        for _, what, unit, row, ratio in self.rows(mtu, case):
            print("%-34s%-9s" % (what, unit) + "".join(
                "%24s" % cell(row.get(name)) for name in names)
                + ("%8.2f" % ratio if ratio else ""), flush=True)

    def as_json(self):
        return {"machine": self.machine().split("\n"), "figures": [
            {"mtu": mtu, "what": what, "unit": unit, "values": row,
             "ratio": ratio} for mtu, what, unit, row, ratio in self.rows()]}

    def as_markdown(self):
        names = self.names
        lines = ["```", self.machine(), "```", "",
                 "| MTU | figure | unit | %s | ratio |" % " | ".join(names),
                 "|---|---|---|%s---|" % ("---|" * len(names))]
        for mtu, what, unit, row, ratio in self.rows():
            lines.append("| %s | %s | %s | %s | %s |" % (
                mtu, what, unit, " | ".join(
                    cell(row.get(name)) for name in names),
                "%.2f" % ratio if ratio else ""))
        return "\n".join(lines) + "\n"


def number(value):
    return "%.0f" % value if abs(value) >= 1000 else "%.3g" % value


def cell(values):
    """Median, and the least and the most where there are several."""
    if not values:
        return ""
    text = number(statistics.median(values))
    if len(values) > 1:
        text += " (%s..%s)" % (number(min(values)), number(max(values)))
    return text

#!/usr/bin/python3
"""Draws a run of the benchmark: for each figure, how far sallyport is ahead
of the best passt of the run, or behind it.

    plot.py RUN.json PLOT.svg|PLOT.png

RUN.json is what bench.py --json wrote.  A bar to the right is better, whatever
the figure's unit: 2 is twice as much a second, or half of the seconds.
"""

import json
import shutil
import subprocess
import sys

# Of these more is better, of all others less.
MORE_IS_BETTER = ("Gbit/s", "1/s")

SCRIPT = """
set terminal %(terminal)s
set output "%(output)s"
set title "sallyport beside the best passt: right is better"
set logscale x 2
set xrange [%(least)g:%(most)g]
set yrange [%(rows)d + 0.5:-0.5]
set grid xtics
set ytics font ",9"
set style fill solid 0.8 noborder
unset key
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2
plot "-" using 1:2:3:4:5:6:(column(7)):ytic(8) with boxxyerror lc rgb variable
"""


def advantages(run):
    """(label, advantage) of each figure that has a ratio."""
    for figure in run["figures"]:
        if not figure["ratio"]:
            continue
        label = figure["what"]
        if figure["mtu"]:
            label += ", MTU %s" % figure["mtu"]
        label += " [%s]" % figure["unit"]
        more = figure["unit"] in MORE_IS_BETTER
        yield label, figure["ratio"] if more else 1 / figure["ratio"]


def data(rows):
    for number, (label, advantage) in enumerate(rows):
        low, high = sorted((1.0, advantage))
        yield '%g %d %g %g %g %g %d "%s"' % (
            advantage, number, low, high, number - 0.4, number + 0.4,
            0x2E7D32 if advantage >= 1 else 0xC62828, label)


def draw(run, path):
    """A plot of what bench.py --json writes; path ends in .svg or .png."""
    if shutil.which("gnuplot") is None:
        sys.exit("plot: no gnuplot: tools/deps bench")
    rows = list(advantages(run))
    if not rows:
        sys.exit("plot: no figure has a ratio: run it with a passt")
    size = (900, 120 + 18 * len(rows))
    script = SCRIPT % {
        "terminal": ("svg size %d,%d" if path.endswith("svg")
                     else "pngcairo size %d,%d") % size,
        "output": path, "rows": len(rows),
        "least": min(0.5, *(value for _, value in rows)) / 1.1,
        "most": max(2, *(value for _, value in rows)) * 1.1}
    subprocess.run(["gnuplot"], text=True, check=True,
                   input=script + "\n".join(data(rows)) + "\ne\n")


def main():
    if len(sys.argv) != 3 or not sys.argv[2].endswith((".svg", ".png")):
        sys.exit("usage: plot.py RUN.json PLOT.svg|PLOT.png")
    with open(sys.argv[1]) as file:
        draw(json.load(file), sys.argv[2])


if __name__ == "__main__":
    main()

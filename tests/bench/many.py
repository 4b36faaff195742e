"""Figures of sallyport alone: how fast it starts, what many of it cost."""

import time

import contenders
import sidecar
import world as rig

STARTS = 50
SIDECARS = 200
SETTLE_S = 5


def start(options, figures):
    world = rig.World()
    try:
        for _ in range(STARTS):
            car = sidecar.Sidecar(world)
            figures.add("", "exec to READY", "ms", "sallyport",
                        car.ready_s * 1e3)
            car.terminate()
    finally:
        world.close()
    figures.show("", "start")


def sidecars(options, figures):
    """So many at once, each with a listening socket and no VMM."""
    world = rig.World()
    try:
        begun, cars = time.monotonic(), []
        for _ in range(SIDECARS):
            cars.append(sidecar.Sidecar(world))
        took = time.monotonic() - begun
        pids = [pid for car in cars for pid in contenders.tree(car.pid)]
        sizes = sum(sidecar.pss_kib(pid) for pid in pids)
        time.sleep(SETTLE_S)

        def woken():
            return sum(int(sidecar.proc_status(pid)[
                "voluntary_ctxt_switches"]) for pid in pids)
        before = woken()
        time.sleep(SETTLE_S)
        name = "%d sidecars" % SIDECARS
        figures.add("", name + ", started", "1/s", "sallyport",
                    SIDECARS / took)
        figures.add("", name + ", memory each", "KiB", "sallyport",
                    sizes / SIDECARS)
        figures.add("", name + ", wake-ups of all", "1/s", "sallyport",
                    (woken() - before) / SETTLE_S)
    finally:
        world.close()
    figures.show("", "sidecars")


CASES = {"start": start, "sidecars": sidecars}

"""Shared by the benchmarks: measures commands on the same input, runs interleaved.

SEATRIAL names a program to measure; without it, the release build of the sources is.
"""
import json, os, statistics, subprocess, sys, time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
seatrial = os.environ.get("SEATRIAL") or f"{root}/target/release/seatrial"


def run(command):
    done = subprocess.run(command, shell=True, executable="/bin/bash", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode != 0:
        raise SystemExit(f"failed: {command}\n{done.stderr[-2000:]}")


def timed(command):
    """Returns the command's seconds, its CPU seconds, which depend less on other work of the host,
    and the peak memory in MiB of its largest process."""
    begin = time.monotonic()
    simple = "|" not in command and ";" not in command
    null = [(os.POSIX_SPAWN_OPEN, stream, "/dev/null", os.O_WRONLY, 0) for stream in (1, 2)]
    words = ["bash", "-c", f"exec {command}" if simple else command]
    pid = os.posix_spawn("/bin/bash", words, os.environ, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {command}")
    cpu = usage.ru_utime + usage.ru_stime
    return time.monotonic() - begin, cpu, usage.ru_maxrss / 1024


def measure(cases, runs, before=None):
    """Runs cases by name: a command, or a function that prepares it and the command.

    Returns median times, median CPU times and peak memory.
    """
    times, cpus, peaks = {name: [] for name in cases}, {name: [] for name in cases}, {}
    for _ in range(runs):
        for name, command in cases.items():
            if isinstance(command, tuple):
                command[0]()
                command = command[1]
            seconds, cpu, peak = timed(command)
            cpus[name].append(cpu)
            times[name].append(seconds)
            peaks[name] = max(peaks.get(name, 0), peak)
    medians = [{name: statistics.median(values) for name, values in kind.items()}
               for kind in (times, cpus)]
    return *medians, peaks


def table(medians, cpus, peaks, against):
    for name, seconds in medians.items():
        own = name.startswith(("stream", "build", "push", "pull")) and "+" not in name
        peak = f"{peaks[name]:6.0f} MiB" if own else " " * 10
        ratio = f"{seconds / medians[against]:6.2f}x of {against}"
        print(f"{name:48} {seconds:7.2f} s {cpus[name]:7.2f} CPU s {peak}  {ratio}", flush=True)


def recipe(work, name, text):
    with open(f"{work}/{name}.json", "w") as file:
        json.dump({"name": "bench", "tag": "1", **text}, file)
    return f"{work}/{name}.json"


def store(work, mib):
    run(f"python3 {root}/ci/mkstore.py {work}/store {work}/graph.json {mib}")
    with open(f"{work}/graph.json") as file:
        paths = " ".join(node["path"] for node in json.load(file))
    settle(work)
    return recipe(work, "store", {"max_layers": 100, "config": {"Labels": {"all": paths}},
                                  "store": {"dir": f"{work}/store", "closure": "graph.json"}})


def settle(work):
    """Waits until files that were just written may be cached: recent files never are."""
    probe = f"{work}/probe"
    open(probe, "w").close()
    while time.time() - os.stat(probe).st_ctime < 3.5:
        time.sleep(0.1)


def build():
    if not os.environ.get("SEATRIAL"):
        run(f"cd {root} && cargo build --locked --release --features vm")

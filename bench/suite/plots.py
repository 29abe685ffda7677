"""The plots of a full run, as SVG, by gnuplot (gnuplot-nox, as tests/fault's)."""

import subprocess

SYSTEMS = [("sextant", "Sextant"), ("postgres", "PostgreSQL, ANY 3 of 5"), ("mariadb", "MariaDB, semi-sync"),
           ("etcd", "etcd, 6 members")]
COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"]


def points(figures, prefix, x, y):
    """[(x, y)] of all figures below `prefix`; `x`: a counter, or None for the number that ends the name."""
    found = []
    for name in figures.names(prefix):
        at = int(name.rsplit(":", 1)[1]) if x is None else figures.median(name, x)
        value = figures.median(name, y)
        if at and value:
            found.append((at, value))
    return sorted(found)


def script(output, title, x_label, y_label, log, series):
    """`series`: [(title, points)]. Empty ones are left out; None: there is nothing to draw."""
    drawn = [(name, values) for name, values in series if values]
    if not drawn:
        return None
    lines = ["set terminal svg size 800,500 font 'sans,13' background rgb 'white'", f"set output '{output}'",
             f"set title '{title}'", f"set xlabel '{x_label}'", f"set ylabel '{y_label}'", f"set logscale {log}",
             "set grid", "set key left top", "set format y '%.0s%c'" if "per second" in y_label else "set format y '%g'"]
    for number, (_, values) in enumerate(drawn):
        lines += [f"$data{number} << END", *(f"{x} {y}" for x, y in values), "END"]
    lines.append("plot " + ", ".join(
        f"$data{n} with linespoints lw 2 pt 7 ps 0.6 lc rgb '{COLOURS[n % len(COLOURS)]}' title '{name}'"
        for n, (name, _) in enumerate(drawn)))
    return "\n".join(lines) + "\n"


def scripts(figures):
    """{file name: gnuplot script}"""
    throughput = [(name, points(figures, f"load/{system}/", None, "per_second")) for system, name in SYSTEMS]
    throughput.append(("binlog mode, 3 of 5 acks", points(figures, "binlog/upsert/", None, "per_second")))
    lag = [(f"Sextant reader, {word}", points(figures, "lag/", "per_second", f"lag_{word}_ms"))
           for word in ("p50", "p99")]
    lag.append(("binlog replicas, p99", points(figures, "binlog/upsert/", "per_second", "lag_p99_ms")))
    lag.append(("MariaDB replicas, behind at the end", points(figures, "load/mariadb/", "per_second", "behind_ms")))
    made = {
        "latency.svg": script("latency.svg", "Quorum append of 256 bytes: latency by depth", "in flight", "p50, µs", "xy",
                              [("raw TCP + fdatasync", points(figures, "floor/tcp/", None, "p50_us")),
                               ("gRPC stream + fdatasync", points(figures, "floor/grpc/", None, "p50_us")),
                               ("Sextant", points(figures, "append/", None, "p50_us"))]),
        "throughput.svg": script("throughput.svg", "Single-row upserts, six copies: throughput by clients", "clients",
                                 "commits per second", "xy", throughput),
        "lag.svg": script("lag.svg", "How far readers are behind, by the rate of writes", "writes per second", "ms", "xy",
                          lag),
    }
    return {name: text for name, text in made.items() if text}


def draw(figures, folder):
    """The files that were drawn, in `folder`; none where there is no gnuplot."""
    drawn = []
    for name, text in scripts(figures).items():
        try:
            subprocess.run(["gnuplot"], input=text, text=True, cwd=folder, check=True, timeout=60, capture_output=True)
        except (OSError, subprocess.SubprocessError):
            continue
        drawn.append(name)
    return drawn

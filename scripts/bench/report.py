"""The figures as a page: `docs/bench.md` is made from the JSON beside it, never by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """# Measured

Written by `make bench`; do not edit. Every figure is of this machine, in this state, at this \
commit; ratios inside one table travel better than absolute figures.

"""
STAGE_WORDS = {
    "closed": "study closed by the sweep",
    "claimed": "job claimed by a worker",
    "encoded": "read, judged and encoded",
    "sent": "last object (the text SR) answered",
    "findable": "**text SR found by a query to the archive**",
    "proven": "proof recorded",
}
INGEST_HEAD = (
    *("images", "senders", "receiver", "images/s", "MB/s", "x Orthanc", "x storescp"),
    *("CPU ms/image", "response p50 / p99 ms", "aims missed"),
)


def page(figures: Mapping[str, Any]) -> str:
    """Return the whole page."""
    parts = [HEAD, _machine(figures["machine"])]
    if "latency" in figures:
        parts.append(_latency(figures["latency"]))
    if "memory" in figures:
        parts.append(_memory(figures["memory"]))
    if "ingest" in figures:
        parts.append(_ingest(figures["ingest"]))
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"**Machine.** {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['file_system']}, Linux {machine['kernel']}; "
        f"fsync of 4 kB {machine['fsync_4k_ms']} ms, of 7.2 MB {machine['fsync_7m_ms']} ms; "
        f"load before the start {machine['load_before']}; {machine['taken_at']}, commit "
        f"{machine['commit']}. Python {machine['python']}, {machine['orthanc']}, "
        f"{machine['dcmtk']}; {packages}.\n"
    )


def _latency(latency: Mapping[str, Any]) -> str:
    median, worst = latency["median_s"], latency["worst_s"]
    rows = [
        (words, f"{median[name]:.2f}", f"{worst[name]:.2f}") for name, words in STAGE_WORDS.items()
    ]
    films = [
        (name, f"{one['objects']:.0f}", f"{one['findable']:.2f}", f"{one['not_network']:.2f}")
        for name, one in latency["films"].items()
    ]
    return (
        "\n## From the end of the quiet period to the draft\n\n"
        f"{latency['studies']} studies of one film each, one after the other, three films taking "
        "turns; seconds since the quiet period ended.\n\n"
        + _table(("until", "median", "worst"), rows)
        + f"\nOf it the network (sum of `session.run`): {median['network']:.2f} s in the median; "
        f"everything else: **{median['not_network']:.2f} s** (aim: under 2 s). By film:\n\n"
        + _table(("film", "result objects", "findable after", "of it not network"), films)
    )


def _memory(memory: Mapping[str, Any]) -> str:
    names = sorted(memory["rest_mb"])
    rows = [
        (
            f"`{name}`",
            memory["rest_mb"][name],
            memory["half_mb"].get(name, "-"),
            memory["after_mb"].get(name, "-"),
        )
        for name in names
    ]
    studies = memory["studies"]
    return (
        "\n## Memory\n\nResident megabytes of each process with its children; the network is "
        "loaded.\n\n"
        + _table(("process", "at rest", f"after {studies // 2} studies", f"after {studies}"), rows)
        + f"\nHighest of the listener: {memory['large_mb']} MB while receiving one object of 100 "
        f"MB, {memory['ten_senders_mb']} MB with ten senders at once.\n"
    )


def _ingest(ingest: Mapping[str, Any]) -> str:
    rows = [
        (
            row["kind"],
            row["senders"],
            row["target"],
            row["images_per_s"],
            row["mb_per_s"],
            row["times_orthanc"],
            row["times_storescp"],
            row["cpu_ms_per_image"],
            f"{row['response_p50_ms']} / {row['response_p99_ms']}",
            "" if row["missed"] is None else ", ".join(row["missed"]) or "none",
        )
        for row in ingest["rows"]
    ]
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in ingest["image_bytes"].items())
    return (
        "\n## Receiving\n\n"
        f"{ingest['images']} images of one CR chest ({sizes}), median of {ingest['repeats']}, "
        "receivers taking turns; `storescu` with `TCP_NODELAY=1` (without it the loopback adds "
        "40 ms to every image for dcmtk and Orthanc and flatters us). Carina answers after fsync "
        "and commit, Orthanc after fsync, storescp from the page cache. A response is timed from "
        "the request to its answer, sending included. CPU is that of the receiver, Postgres with "
        "it. As shipped: one process, no fast path; the others are `CARINA_LISTENER_PROCESSES` "
        f"and `CARINA_LISTENER_FAST_PATH` (here it {ingest['fast_path']}). Aims: at least as many "
        "images per second as Orthanc, a p99 no worse, at most 25 ms of processor time.\n\n"
        + _table(INGEST_HEAD, rows)
    )

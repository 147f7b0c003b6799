"""``make fuzz N=100000 SEED=1``: mutated inputs; exit code 1 when one did what none may do."""

import argparse
import sys
import time

from scripts.fuzz import campaign


def main() -> int:
    """Run the campaign and print one line for each layer."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layer", choices=campaign.SHARES, help="only this layer")
    chosen = parser.parse_args()
    shares = campaign.shared_out(chosen.count)
    if chosen.layer:
        shares = {chosen.layer: chosen.count}
    started, total, failures = time.monotonic(), 0, 0
    for layer, count in shares.items():
        report = campaign.layer_report(layer, chosen.seed, count)
        total, failures = total + report.inputs, failures + len(report.failures)
        outcomes = ", ".join(f"{n} {word}" for word, n in report.outcomes.most_common())
        print(
            f"{layer}: {report.inputs} inputs: {outcomes}; slowest {report.slowest_s:.2f} s,"
            f" memory {report.grown_bytes / 2**20:+.0f} MB",
            flush=True,
        )
        for one in report.failures:
            print(f"  FAILED {one.layer} seed {chosen.seed} number {one.number}: {one.words}")
    spent = time.monotonic() - started
    print(f"{total} inputs, seed {chosen.seed}, {failures} failures, {spent:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

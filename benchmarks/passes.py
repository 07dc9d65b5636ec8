"""What each statistics pass gives: tiles against the image in one piece, from none to three passes.

As in benchmarks/tiling.py, and the same networks again with weights at random. Prints the table of
docs/tiling.md: ``python benchmarks/passes.py WEIGHTS MODEL... > docs/measured/passes.md``

WEIGHTS is a folder with one folder per model; a file that `sr-zoo train` wrote counts as trained
here.
"""

import sys
from pathlib import Path

from tiling import RANDOM, at_random, differences, find

COUNTS = range(4)


def main() -> None:
    """Print the table."""
    folder, models = Path(sys.argv[1]), sys.argv[2:]
    heads = ("none", "one pass", "two", "three")
    print(f"| network | scale | weights | {' | '.join(heads)} |")
    print("|---" * (3 + len(heads)) + "|")
    for model in models:
        network, weights = find(model, folder)
        sides = {weights: network, RANDOM: at_random(model)}
        for origin, each in sides.items():
            cells = [
                f"{levels} level{'' if levels == 1 else 's'}, {decibels:.1f} dB"
                for levels, decibels in differences(each, COUNTS).values()
            ]
            print(f"| `{model}` | x{each.scale} | {origin} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

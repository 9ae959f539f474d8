"""`make mutation`: count how many small changes to folds and rules the unit tests detect."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
REQUIRED = 0.9


def main() -> int:
    """Print the score and the surviving mutants. Return 1 if fewer than REQUIRED are detected."""
    mutmut = (sys.executable, "-m", "mutmut")
    subprocess.run([*mutmut, "run"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*mutmut, "results"], cwd=PROJECT, check=True)
    export = [*mutmut, "export-cicd-stats"]
    subprocess.run(export, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    counts = json.loads((PROJECT / "mutants" / "mutmut-cicd-stats.json").read_text())
    score = counts["killed"] / counts["total"]
    print(f"{counts['killed']} of {counts['total']} mutants detected: {score:.1%}")
    return 0 if score >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())

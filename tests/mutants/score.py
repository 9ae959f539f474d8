"""`make mutation`: of all the small changes to folds and rules, how many the unit tests notice."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
WANTED = 0.9


def main() -> int:
    """The score and what survived; 1 where fewer are noticed than wanted."""
    mutmut = (sys.executable, "-m", "mutmut")
    subprocess.run([*mutmut, "run"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*mutmut, "results"], cwd=PROJECT, check=True)
    export = [*mutmut, "export-cicd-stats"]
    subprocess.run(export, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((PROJECT / "mutants" / "mutmut-cicd-stats.json").read_text())
    score = found["killed"] / found["total"]
    print(f"{found['killed']} of {found['total']} mutants noticed: {score:.1%}")
    return 0 if score >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

"""Runs cases and prints what became of them."""

from collections.abc import Mapping, Sequence

from sidecar.conformance import play_child, play_parent
from sidecar.conformance.cases import Case


def list_cases(cases: Sequence[Case]) -> str:
    """Every case with its reason, a line each."""
    width = max(len(case.name) for case in cases)
    return "".join(f"{case.name:<{width}}  {case.why}\n" for case in cases)


def run(
    kind: str, cases: Sequence[Case], command: Sequence[str], env: Mapping[str, str], timeout: float, *, quiet: bool
) -> int:
    """Plays the cases; prints failures (all, without `quiet`) and a sum. Gives 1 where one has failed, else 0."""
    playing = (play_parent if kind == "sidecar" else play_child).play(cases, command, env, timeout)
    failed = 0
    for case, wrong in playing:
        if wrong:
            failed += 1
            told = wrong.replace("\n", "\n  ")
            print(f"FAILED {case.name} ({case.file}.md): {case.why}\n  {told}", flush=True)
        elif not quiet:
            print(f"ok     {case.name}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} cases passed")
    return 1 if failed else 0

"""The text of health endpoints in upstream's form: ``ok``, or a line per check where one failed or all are wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from podkeeper.foundation.exposition import Counters, Family, Sample


def report(
    endpoint: str, results: Mapping[str, bool | None], excluded: Collection[str] = (), *, verbose: bool = False
) -> tuple[int, str]:
    """Status code and text. ``results`` are whether each check passed, None for those that were left out; ``excluded``
    are all that the client wanted to leave out."""
    lines = [_line(name, passed) for name, passed in results.items()]
    unknown = sorted(set(excluded) - results.keys())
    if unknown:
        listed = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    if False in results.values():
        return 500, "\n".join(lines) + f"\n{endpoint} check failed\n"
    return 200, "\n".join(lines) + f"\n{endpoint} check passed\n" if verbose else "ok"


def _line(name: str, passed: bool | None) -> str:
    if passed is None:
        return f"[+]{name} excluded: ok"
    return f"[+]{name} ok" if passed else f"[-]{name} failed: reason withheld"


class HealthFigures:
    """What checks have said, for /metrics/slis."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], bool] = {}
        self._counts = Counters(
            "kubernetes_healthchecks_total", "Health checks by their results.", "name", "status", "type"
        )

    def note(self, endpoint: str, name: str, passed: bool) -> bool:
        """One result, which is returned."""
        self._last[endpoint, name] = passed
        self._counts[name, "success" if passed else "error", endpoint] += 1
        return passed

    def families(self) -> Sequence[Family]:
        """kubernetes_healthcheck*: what each check said last, and how often it said so."""

        def last() -> Iterator[Sample]:
            for (endpoint, name), passed in sorted(self._last.items()):
                yield {"name": name, "type": endpoint}, int(passed)

        return (Family("kubernetes_healthcheck", "gauge", "1 where a check passed.", last), self._counts.family())

"""A Dask cluster as a crew: the jobs of `Processes`, on other machines."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import xxhash

from aggregator.workers.crew import CrewError, Item, Lost, Result, begun_ahead, told
from aggregator.workers.limits import JobLimits
from aggregator.workers.process import do_job

CONNECT_SECONDS = 5
PACKAGE = Path(__file__).parent.parent
HAS_PORT = re.compile(r":\d+/?$")
NAMED = "name its scheduler's, as in tcp://127.0.0.1:8786"
AGAIN = "give the same command again: it goes on with what is left"


def program_hash() -> str:
    """A hash of all of this program's code: only the same code gives the same result."""
    hashed = xxhash.xxh3_128()
    for file in sorted(PACKAGE.rglob("*.py")):
        hashed.update(f"{file.relative_to(PACKAGE)}\n".encode())
        hashed.update(file.read_bytes())
    return hashed.hexdigest()


class DaskCluster:
    """The workers of the cluster whose scheduler is at `address` ("tcp://host:8786").

    What a job may take is not limited there: a worker that it kills is the cluster's to replace. Raises CrewError
    if the cluster can't be used.
    """

    is_near = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = _connected(address)
        try:
            self.cores = self._checked()
        except BaseException:
            self._client.close()
            raise

    def _checked(self) -> int:
        """How many cores its workers have, all of which have this very program."""
        cores = sum(self._client.ncores().values())
        if not cores:
            raise CrewError(f"the Dask cluster at {self._address} has no workers: start some (dask worker)")
        try:
            found = self._client.run(program_hash)
        except Exception as error:  # noqa: BLE001 (whatever a worker without the program answers with)
            raise CrewError(
                f"the workers of the Dask cluster at {self._address} can't run this program "
                f"({type(error).__name__}: {error}): install it there, too"
            ) from None
        if set(found.values()) != {program_hash()}:
            other = next(name for name, told in found.items() if told != program_hash())
            raise CrewError(
                f"the Dask worker at {other} has another version of this program: install this one there, too"
            )
        return int(cores)

    def prepare(self, job: Callable[[], object]) -> None:
        """See Crew: they run already."""

    def rest(self) -> None:
        """See Crew: they are the cluster's."""

    def each(
        self,
        job: Callable[[Item], Result],
        items: Iterable[Item],
        limits_of: Callable[[Item], JobLimits] | None = None,  # noqa: ARG002 (see above)
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """See Crew. Raises CrewError if the cluster is lost."""

        def begin(item: Item) -> Any:
            return self._client.submit(do_job, job, item, pure=False)

        for item, future in begun_ahead(items, self.cores, begin):
            yield item, self._answer(future)

    def _answer(self, future: Any) -> Any:
        from distributed import CancelledError  # noqa: PLC0415 (an extra)
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        try:
            return told(future.result())
        except KilledWorker:
            return Lost("the workers of the cluster that worked on it ended, one after another")
        except (CancelledError, OSError) as error:
            raise CrewError(
                f"the Dask cluster at {self._address} was lost ({type(error).__name__}): {AGAIN}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


def _connected(address: str) -> Any:
    try:
        from distributed.client import Client  # noqa: PLC0415 (an extra)
    except ImportError:
        raise CrewError(
            "--dask: Dask is not installed: pip install 'news-event-aggregator[dask]', or use --cores"
        ) from None
    if not HAS_PORT.search(address):
        raise CrewError(f"--dask: {address} is no address: {NAMED}")
    # Its own log tells of every worker that comes and goes.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        connect: Callable[..., Any] = Client
        return connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise CrewError(f"no Dask cluster answers at {address} ({error}): {NAMED}") from None

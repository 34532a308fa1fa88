"""LoadGen's callbacks: the library it draws from, and who answers its queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

Query = tuple[int, int]
"""LoadGen's id of a query's sample, and the index of that sample in the library."""


class Library:
    """The query sample library: inputs (N, H, W, 3) uint8 in memory, lent by index once they are loaded."""

    def __init__(self, pool: np.ndarray) -> None:
        self.pool = pool
        self.loaded: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.pool)

    def load(self, indices: Iterable[int]) -> None:
        """Make the samples of these indices ready; those that do not exist stay absent."""
        self.loaded |= {i: self.pool[i : i + 1] for i in indices if 0 <= i < len(self.pool)}

    def unload(self, indices: Iterable[int]) -> None:
        """Take the samples of these indices back."""
        for index in indices:
            self.loaded.pop(index, None)

    def batch(self, indices: Sequence[int]) -> np.ndarray:
        """Return the loaded samples (n, H, W, 3); IndexError when one of them is not loaded."""
        absent = [index for index in indices if index not in self.loaded]
        if absent:
            raise IndexError(f"sample {absent[0]} is not loaded; the library holds {len(self.pool)}")
        if len(indices) == 1:
            return self.loaded[indices[0]]
        return np.concatenate([self.loaded[index] for index in indices])


def whole_batches(indices: Sequence[int], batch: int) -> list[list[int]]:
    """Return the indices (n >= 1) in whole batches; the first one again fills the last batch up."""
    filled = [*indices, *[indices[0]] * (-len(indices) % batch)]
    return [filled[i : i + batch] for i in range(0, len(filled), batch)]


class Server:
    """Answers queries, a `chunk` of samples at a time, and remembers the first error instead of raising it.

    An exception that leaves a callback unwinds LoadGen's C++, whose logging thread then reads freed
    memory. So after an error every query is answered at once, the test ends, and the caller raises.
    """

    def __init__(self, infer: Callable[[list[int]], None], complete: Callable[[list[int]], None], chunk: int):
        self.infer = infer
        self.complete = complete
        self.chunk = chunk
        self.answered = 0
        self.error: BaseException | None = None

    def answer(self, queries: Sequence[Query]) -> None:
        """Infer the queries' samples in their order, telling LoadGen of each chunk as it is done."""
        for start in range(0, len(queries), self.chunk):
            part = queries[start : start + self.chunk]
            try:
                if self.error is None:
                    self.infer([index for _, index in part])
            except BaseException as error:
                self.error = error
            self.complete([number for number, _ in part])
            self.answered += len(part)


def plain(samples: Iterable[Any]) -> list[Query]:
    """Return LoadGen's samples as numbers: its own objects live no longer than the call."""
    return [(sample.id, sample.index) for sample in samples]


def in_the_call(start: Callable[[Callable[[Any], None]], None], server: Server) -> None:
    """Run a test whose queries are answered inside LoadGen's call, which it makes from this thread."""
    start(lambda samples: server.answer(plain(samples)))
    if server.error is not None:
        raise server.error


def from_a_queue(start: Callable[[Callable[[Any], None]], None], server: Server) -> None:
    """Run a test whose arrivals never wait: LoadGen has a thread of its own, this one takes the queue.

    This thread made the runner and its pools, which a framework may hold by thread.
    """
    inbox: SimpleQueue[Query | None] = SimpleQueue()
    errors: list[BaseException] = []

    def issue(samples: Any) -> None:
        for query in plain(samples):
            inbox.put(query)

    def test() -> None:
        try:
            start(issue)
        except BaseException as error:
            errors.append(error)
        finally:
            inbox.put(None)

    thread = Thread(target=test, name="loadgen", daemon=True)
    thread.start()
    while (query := inbox.get()) is not None:
        server.answer([query])
        if server.error is not None:
            # The schedule may last for minutes yet, and nothing calls it off: the worker leaves the process
            # without C++ destructors, which would pull the memory from under the test.
            raise server.error
    thread.join()
    if errors:
        raise errors[0]


def starter(
    lg: Any, library: Library, settings: Any, logs: Path, *, trace: bool
) -> Callable[[Callable[[Any], None]], None]:
    """Return what runs one test of LoadGen (the module `lg`), given the callback that takes its queries."""
    log_settings = _log_settings(lg, logs, trace)

    def start(issue: Callable[[Any], None]) -> None:
        system = lg.ConstructSUT(issue, lambda: None)
        samples = lg.ConstructQSL(len(library), len(library), library.load, library.unload)
        # Without a path of our own, an audit.config in the working folder would change the settings.
        lg.StartTestWithLogSettings(system, samples, settings, log_settings, str(logs / "audit.config"))
        lg.DestroyQSL(samples)
        lg.DestroySUT(system)

    return start


def _log_settings(lg: Any, logs: Path, trace: bool) -> Any:
    output = lg.LogOutputSettings()
    output.outdir = str(logs)
    output.copy_summary_to_stdout = False
    settings = lg.LogSettings()
    settings.log_output = output
    settings.enable_trace = trace
    return settings

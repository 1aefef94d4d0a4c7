"""Checks many workbooks at once, each in a process of its own kind: one that breaks does not stop the others."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from sheetgen.base.errors import InputError
from sheetgen.engines import EngineError
from sheetgen.proof.check import check
from sheetgen.proof.report import Report
from sheetgen.xlsx.read import BookError

Job = tuple[Path, str]  # a workbook, and who recomputes it


def check_all(jobs: Sequence[Job]) -> Iterator[Report | str]:
    """The report of each job, or why there is none, in the order of the jobs and as soon as it is known."""
    workers = min(len(jobs), os.cpu_count() or 1)
    if workers < 2:
        yield from map(_checked, jobs)
        return
    pool = _pool(workers)
    try:
        waiting: list[Future[Report | str]] = [pool.submit(_checked, job) for job in jobs]
        for job, future in zip(jobs, waiting, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:  # some worker was killed, and all that waited are lost
                yield _alone(job)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _checked(job: Job) -> Report | str:
    try:
        return check(*job)
    except (InputError, BookError, EngineError) as error:
        return str(error)


def _alone(job: Job) -> Report | str:
    """Once more, in a process that no other workbook shares."""
    with _pool(1) as pool:
        try:
            return pool.submit(_checked, job).result()
        except BrokenProcessPool:
            return f"{job[0]}: the process that checked it was ended: it may need more memory than there is"


def _pool(workers: int) -> ProcessPoolExecutor:
    # New processes, not copies of this one, which may have threads. Ctrl-C ends them without a word.
    ending = signal.signal, (signal.SIGINT, signal.SIG_DFL)
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=ending[0], initargs=ending[1])

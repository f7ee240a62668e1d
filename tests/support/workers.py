"""Persistent worker processes that survive what they run: a crash or a time-out costs one job and a fork.

run_jobs(jobs, work, ...) forks workers; each calls work(job) for one job at a time and sends the result back. What `work`
needs is inherited by the fork, so starting a worker again is cheap. Tested in tests/api/test_support.py."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import time


def _serve(connection, work, log):
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        os.ftruncate(log, 0)
        connection.send(work(job))


class _Worker:
    def __init__(self, context, work):
        self.log = tempfile.TemporaryFile()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, self.log.fileno()), daemon=True)
        self.process.start()
        theirs.close()
        self.job = None
        self.deadline = None

    def give(self, job, timeout):
        self.job, self.deadline = job, time.monotonic() + timeout
        self.connection.send(job)

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self):
        self.process.kill()  # an idle worker holds nothing; closing its connection would not end it, since later forks share it
        self.connection.close()
        self.process.join()
        self.log.close()


def run_jobs(jobs, work, on_result, workers=2, timeout=120, on_death=None):
    """Calls on_result(job, result) for each job as it ends. When a worker dies, on_death(job, text) makes the result, where
    text is "killed by SIGSEGV" or "timed out" and, on further lines, what the worker printed."""
    context = multiprocessing.get_context("fork")
    jobs = list(reversed(jobs))
    pool = []
    try:
        while jobs or any(w.job is not None for w in pool):
            while jobs and len(pool) < workers:
                pool.append(_Worker(context, work))
            for w in pool:
                if w.job is None and jobs:
                    w.give(jobs.pop(), timeout)
            busy = [w for w in pool if w.job is not None]
            multiprocessing.connection.wait([w.connection for w in busy], timeout=1)
            for w in busy:
                _collect(w, pool, on_result, on_death)
    finally:
        for w in pool:
            w.stop()


def _collect(w, pool, on_result, on_death):
    job, text = w.job, None
    if w.connection.poll():
        try:
            result = w.connection.recv()
            w.job = None
            on_result(job, result)
            return
        except (EOFError, ConnectionResetError):
            w.process.join()
            code = w.process.exitcode
            text = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    elif time.monotonic() > w.deadline:
        text = "timed out"
    if text is not None:
        text += "\n" + w.output()
        pool.remove(w)
        w.stop()
        on_result(job, on_death(job, text))

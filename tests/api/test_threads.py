"""Sessions used by several threads, and in forked processes."""

import os
import signal
import threading

import numpy
import onnxc
import pytest
import small_models

RNG = numpy.random.default_rng(5)


@pytest.fixture(params=[0, 1, 3])
def session(request):
    options = onnxc.SessionOptions()
    options.intra_op_num_threads = request.param
    return onnxc.InferenceSession(small_models.matmul_relu(rows=64).SerializeToString(), options)


def test_two_threads_on_one_session(session):
    inputs = [RNG.standard_normal((64, 8)).astype(numpy.float32) for _ in range(2)]
    expected = [session.run(None, {"x": x})[0] for x in inputs]
    assert not (expected[0] == expected[1]).all()
    wrong = []

    def work(x, y):
        for _ in range(200):
            if not (session.run(None, {"x": x})[0] == y).all():
                wrong.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_number_of_threads_does_not_change_a_bit():
    content = small_models.matmul_relu(rows=64).SerializeToString()
    x = RNG.standard_normal((64, 8)).astype(numpy.float32)
    results = []
    for threads in (1, 2, 5):
        options = onnxc.SessionOptions()
        options.intra_op_num_threads = threads
        results.append(onnxc.InferenceSession(content, options).run(None, {"x": x})[0])
    assert all((result == results[0]).all() for result in results)


def test_a_session_works_on_in_a_forked_child(session):
    x = RNG.standard_normal((64, 8)).astype(numpy.float32)
    expected = session.run(None, {"x": x})[0]
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # where it hangs, it fails
        same = (session.run(None, {"x": x})[0] == expected).all()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (session.run(None, {"x": x})[0] == expected).all()


def test_free_dims_compiled_by_two_threads_at_a_time():
    session = onnxc.InferenceSession(small_models.matmul_relu().SerializeToString())
    shapes = []

    def work(rows):
        shapes.append(session.run(None, {"x": numpy.zeros((rows, 8), numpy.float32)})[0].shape)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (2, 3, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shapes) == [(2, 16), (2, 16), (3, 16), (3, 16)]

"""The simulator against what queueing theory says, and its own rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capacity.simulator import (
    Floats64,
    Give,
    Machine,
    Network,
    Station,
    Take,
    Wait,
    Work,
    answered,
    bursty,
    from_log,
    play,
    poisson,
)
from core.errors import InputError

SIZE = 12_000
SERVICE = 10.0  # milliseconds, the mean


def column(*values: float) -> Floats64:
    return np.array([[value] for value in values], np.float64)


def exponential(size: int, seed: int = 1) -> Floats64:
    return np.random.default_rng(seed).exponential(SERVICE, (size, 1))


def mean_of(network: Network, load: float, work: Floats64, servers: int = 1) -> float:
    rate = load * servers / SERVICE * 1000
    return float(play(network, poisson(rate, len(work), 2), work).milliseconds.mean())


ALONE = (Machine("m", (1.0,)),)
LOCKED = (Take(0), Work(0, 0), Give(0))


def erlang_c(servers: int, load: float) -> float:
    """The share of requests that wait in M/M/c."""
    offered = servers * load
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("clients", [1, 3, 8])
def test_clients_that_ask_again_are_answered_as_mean_value_analysis_says(clients: int) -> None:
    """Each waits for twice a service before it works: the machine repairman's model."""
    chance = np.random.default_rng(5)
    work = np.stack(
        [chance.exponential(SERVICE, SIZE), chance.exponential(2 * SERVICE, SIZE)], axis=1
    )
    network = Network(ALONE, (Station("s", 1),), (Wait(1), *LOCKED))
    queue, rate = 0.0, 0.0
    for each in range(1, clients + 1):
        took = SERVICE * (1 + queue)
        rate = each / (2 * SERVICE + took)
        queue = rate * took
    assert answered(network, clients, work) == pytest.approx(rate * 1000, rel=0.03)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_server_in_turn_with_exponential_work(load: float) -> None:
    network = Network(ALONE, (Station("s", 1),), LOCKED)
    assert mean_of(network, load, exponential(SIZE)) == pytest.approx(
        SERVICE / (1 - load), rel=0.12
    )


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_server_in_turn_with_equal_work(load: float) -> None:
    network = Network(ALONE, (Station("s", 1),), LOCKED)
    wanted = SERVICE * (1 + load / (2 * (1 - load)))  # Pollaczek and Khinchine
    assert mean_of(network, load, np.full((SIZE, 1), SERVICE)) == pytest.approx(wanted, rel=0.12)


@pytest.mark.parametrize("equal", [True, False])
def test_shared_processors_take_the_same_mean_whatever_the_work_is(equal: bool) -> None:
    """M/G/1 with processor sharing: only the mean of the work counts."""
    work = np.full((SIZE, 1), SERVICE) if equal else exponential(SIZE)
    found = mean_of(Network(ALONE, (), (Work(0, 0),)), 0.6, work)
    assert found == pytest.approx(SERVICE / 0.4, rel=0.12)


@pytest.mark.parametrize("servers", [2, 4])
@pytest.mark.parametrize("shared", [True, False])
def test_several_servers(servers: int, shared: bool) -> None:
    """Means of M/M/c are the same in turn and with processor sharing."""
    machine = Machine("m", tuple(float(n) for n in range(1, servers + 1)))
    stations = () if shared else (Station("s", servers),)
    network = Network((machine,), stations, (Work(0, 0),) if shared else LOCKED)
    load = 0.7
    wanted = SERVICE * (1 + erlang_c(servers, load) / (servers * (1 - load)))
    assert mean_of(network, load, exponential(SIZE), servers) == pytest.approx(wanted, rel=0.12)


def test_a_full_queue_refuses_as_often_as_theory_says() -> None:
    """M/M/1 with room for K: the share of refusals is (1 - r) r^K / (1 - r^(K + 1))."""
    load, room = 0.9, 3
    network = Network(ALONE, (Station("s", 1, room - 1),), LOCKED)
    found = play(network, poisson(load / SERVICE * 1000, SIZE, 2), exponential(SIZE))
    wanted = (1 - load) * load**room / (1 - load ** (room + 1))
    assert found.refused == pytest.approx(wanted, rel=0.12)


def test_hyperthreads_slow_each_other_by_the_curve() -> None:
    """Two at once, on a machine that does 1.25 times the work of one: each takes 1.6 times."""
    network = Network((Machine("m", (1.0, 1.25)),), (), (Work(0, 0),))
    found = play(network, np.zeros(2), column(10, 10), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([16, 16])
    assert found.busy["m"] == pytest.approx(1)


def test_a_task_of_two_threads_ends_in_half_the_time_alone() -> None:
    network = Network((Machine("m", (1.0, 2.0)),), (), (Work(0, 0, width=2),))
    assert play(network, np.zeros(1), column(10), warm_up=0).milliseconds[0] == pytest.approx(5)
    both = play(network, np.zeros(2), column(10, 10), warm_up=0)
    assert both.milliseconds.tolist() == pytest.approx([10, 10])


def test_a_deadline_cuts_work_and_the_rest_goes_on() -> None:
    steps = (Take(0), Work(0, 0, deadline=30.0), Work(0, 1), Give(0))
    network = Network(ALONE, (Station("s", 1),), steps)
    found = play(network, np.array([0.0, 100.0]), np.array([[80.0, 5], [20, 5]]), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([35, 25])
    assert found.cut == 0.5
    assert found.done == pytest.approx((30 / 80 + 1) / 2)


def test_the_piece_in_progress_at_a_deadline_slows_who_comes_next() -> None:
    """At 30 ms a piece of 25 has 20 left; the second request shares the processor with it."""
    steps = (Take(0), Work(0, 0, deadline=30.0, piece=25.0), Give(0))
    network = Network(ALONE, (Station("s", 1),), steps)
    found = play(network, np.array([0.0, 30.0]), column(80, 10), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([30, 20])
    assert found.busy["m"] == pytest.approx(1)
    assert found.done == pytest.approx((25 / 80 + 1) / 2)  # what is in progress is lost


def test_who_finds_a_place_that_rested_works_more() -> None:
    """The second comes 2 ms after the first has left, the third waits, the fourth comes late."""
    steps = (Take(0), Work(0, 1, pause=5.0), Work(0, 0), Give(0))
    network = Network(ALONE, (Station("s", 1),), steps)
    arrivals = np.array([0.0, 15, 20, 100])
    found = play(network, arrivals, np.tile([10.0, 3.0], (4, 1)), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([13, 10, 15, 13])


def test_of_two_places_the_one_that_was_given_back_last_is_taken() -> None:
    steps = (Take(0), Work(0, 1, pause=5.0), Work(0, 0), Give(0))
    network = Network((Machine("m", (1.0, 2.0)),), (Station("s", 2),), steps)
    work = np.array([[10.0, 0], [50, 0], [10, 3], [10, 3]])
    found = play(network, np.array([0.0, 0, 51, 52]), work, warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([10, 50, 10, 13])


def test_a_wait_uses_no_processor() -> None:
    network = Network(ALONE, (), (Wait(1), Work(0, 0)))
    found = play(network, np.zeros(2), np.array([[10.0, 100], [10, 200]]), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([110, 210])


def test_two_machines_at_once_hold_one_place() -> None:
    """A search holds its process while another machine works for it."""
    machines = (Machine("ours", (1.0,)), Machine("node", (1.0,)))
    network = Network(machines, (Station("s", 1),), (Take(0), Work(0, 0), Work(1, 0), Give(0)))
    found = play(network, np.zeros(2), column(10, 10), warm_up=0)
    assert found.milliseconds.tolist() == pytest.approx([20, 40])
    assert found.held["s"] == pytest.approx(1)


def test_the_same_seed_gives_the_same_play() -> None:
    network = Network(ALONE, (Station("s", 1),), LOCKED)
    first, again = (play(network, poisson(50, 500, 7), exponential(500)) for _ in range(2))
    assert first.milliseconds.tolist() == again.milliseconds.tolist()


def test_bursts_have_the_rates_and_times_that_were_asked_for() -> None:
    found = bursty(2.0, 10.0, 60_000, 3, calm_s=9.0, burst_s=1.0)
    mean = len(found) / found[-1] * 1000
    assert mean == pytest.approx((2 * 9 + 20 * 1) / 10, rel=0.12)
    gaps = np.diff(found)
    assert gaps.std() > 1.2 * gaps.mean()  # of a Poisson process they are equal


def test_a_log_begins_at_its_first_moment() -> None:
    assert from_log([12.5, 10.0, 11.0]).tolist() == [0, 1000, 2500]
    with pytest.raises(InputError):
        from_log([1.0])

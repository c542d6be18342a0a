"""A dozen of the federation's stories again, on two daemons of embedded centres, whose jobs are processes, in real
time.

All others are told of centres in memory alone. In these a daemon, a socket, a process or its end could make a
difference: what a submission leaves behind, which jobs are found by name, how one ends and what its log says then, and
that a broker comes back to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.federation.test_continuing import (
    test_the_next_session_is_at_the_same_centre_and_takes_the_name_when_it_listens,
)
from tests.federation.test_federation import (
    test_a_broker_restart_keeps_a_running_session_and_charges_it_once,
    test_a_broker_that_died_between_intent_and_job_finds_or_makes_the_job_once,
    test_a_job_that_its_centre_accepts_and_can_never_start_is_given_up_with_its_words,
    test_a_lost_answer_to_a_submit_does_not_double_the_job,
    test_a_stop_never_cancels_a_job_of_another_name,
    test_a_stop_while_the_centre_is_away_is_carried_out_when_it_is_back,
)
from tests.federation.test_interleavings import (
    test_a_job_that_ran_and_was_forgotten_before_its_answer_came_is_not_run_again,
)
from tests.federation.test_reconcile import test_a_job_of_a_session_that_is_over_is_stopped
from tests.federation.test_second_chances import (
    QUICK,
    test_a_lab_that_stalls_starts_where_there_is_room_and_is_charged_once,
    test_a_start_that_dies_is_tried_elsewhere_and_ends_with_the_last_lines_of_its_log,
)
from tests.federation.world import RealWorld
from tests.unit.services.test_leases import test_at_a_centre_it_ends_with_its_reason_and_is_charged_for_what_it_ran

__all__ = [
    "test_a_broker_restart_keeps_a_running_session_and_charges_it_once",
    "test_a_broker_that_died_between_intent_and_job_finds_or_makes_the_job_once",
    "test_a_job_of_a_session_that_is_over_is_stopped",
    "test_a_job_that_its_centre_accepts_and_can_never_start_is_given_up_with_its_words",
    "test_a_job_that_ran_and_was_forgotten_before_its_answer_came_is_not_run_again",
    "test_a_lab_that_stalls_starts_where_there_is_room_and_is_charged_once",
    "test_a_lost_answer_to_a_submit_does_not_double_the_job",
    "test_a_start_that_dies_is_tried_elsewhere_and_ends_with_the_last_lines_of_its_log",
    "test_a_stop_never_cancels_a_job_of_another_name",
    "test_a_stop_while_the_centre_is_away_is_carried_out_when_it_is_back",
    "test_at_a_centre_it_ends_with_its_reason_and_is_charged_for_what_it_ran",
    "test_the_next_session_is_at_the_same_centre_and_takes_the_name_when_it_listens",
]


@pytest.fixture
async def world(short_path: Path) -> AsyncIterator[RealWorld]:
    world = RealWorld(short_path, QUICK)
    await world.start()
    yield world
    await world.stop()

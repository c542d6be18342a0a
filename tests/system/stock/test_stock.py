"""How the reports of a stock tool's suite are counted."""

from pathlib import Path

from .__main__ import outcome, words

SLURM = """<testsuites><testsuite>
<testcase classname="dask_jobqueue.tests.test_job" name="test_job[slurm]"/>
<testcase classname="dask_jobqueue.tests.test_job" name="test_job[pbs]"><skipped message="requires pbs"/></testcase>
<testcase classname="dask_jobqueue.tests.test_job" name="test_basic"><skipped message="requires none"/></testcase>
<testcase classname="dask_jobqueue.tests.test_job" name="test_broken"><error message="first&#10;second"/></testcase>
</testsuite></testsuites>"""
PLAIN = SLURM.replace('name="test_basic"><skipped message="requires none"/></testcase>', 'name="test_basic"/>').replace(
    '<error message="first&#10;second"/>', '<skipped message="requires slurm"/>'
)


def test_a_test_counts_as_run_if_one_of_the_runs_had_it(tmp_path: Path) -> None:
    (tmp_path / "slurm.xml").write_text(SLURM)
    (tmp_path / "plain.xml").write_text(PLAIN)
    found = outcome("dask-jobqueue", [tmp_path / "slurm.xml", tmp_path / "plain.xml"])
    assert found.passed == 2 and found.failed == {"test_job::test_broken": "first"}
    assert found.not_applicable == {"test_job::test_job[pbs]": "requires pbs"}
    assert words(found).splitlines()[0] == "dask-jobqueue: 2 passed, 1 failed, 1 not applicable"

"""Run the core's tests on Python 3.10, 3.12 and 3.13; ``make test`` covers 3.11. Run: ``make pythons``.

Arguments after ``--`` replace pytest's: ``nox -s tests-3.13 -- -n 1 tests/masks``.
"""

import nox

nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.10", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Install the core with the newest libraries of this Python, and run the tests that need no framework."""
    session.install("--editable", ".[viz,dev]")
    session.run("python", "-m", "pip", "freeze", "--exclude-editable")
    results = f"build/tests-{session.python}.xml"
    session.run(
        "python", "-m", "pytest", "--junit-xml", results, *(session.posargs or ("-n", "2", "--dist", "loadfile"))
    )
    if not session.posargs:
        session.run("python", "tests/support/results.py", "python", results)

import no_such_package  # noqa: F401

"""A module of a user-defined network that cannot be imported."""

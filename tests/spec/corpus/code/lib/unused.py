"""A module that nothing imports."""

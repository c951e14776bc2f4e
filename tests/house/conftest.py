"""The run ends with the measures of the house in one line."""

from tests.house.measures import summary


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(summary())

"""What all tests share: the table of faults, which only a conftest at the top prints for tests in several processes."""

from tests.fault_table import pytest_terminal_summary, record_fault

__all__ = ["pytest_terminal_summary", "record_fault"]

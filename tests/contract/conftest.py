"""Failures inside the shipped suite show their values, as those in a test file do."""

import pytest

pytest.register_assert_rewrite("broker.testing.contract", "broker.testing.host_contract", "broker.testing.host_rig")

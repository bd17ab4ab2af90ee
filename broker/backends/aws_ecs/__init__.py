"""Agents as tasks of Amazon ECS."""

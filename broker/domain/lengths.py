"""Lengths of time as people read them."""

from datetime import timedelta


def short(length: timedelta) -> str:
    """A length of time for people, not below zero: `24s`, `3m10s`, `2h05m`, `6d4h`."""
    seconds = max(0, round(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{seconds % 60:02d}s" if minutes else f"{seconds}s"

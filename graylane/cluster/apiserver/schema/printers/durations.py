"""Durations as kubectl writes them: `5s`, `2m3s`, `3h`, `47h`, `2d5h`, `3y`.

Pure. In: a timedelta. Out: text, coarser the longer it is. Follows apimachinery's `HumanDuration`.
"""

from __future__ import annotations

from datetime import timedelta

_YEAR = 365  # days


def human_duration(duration: timedelta) -> str:
    total = duration.total_seconds()
    if total <= -2:
        return "<invalid>"  # clocks that disagree by more than a second
    seconds = max(int(total), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 180:
        return _pair(minutes, "m", seconds % 60, "s") if minutes < 10 else f"{minutes}m"
    if hours < 48:
        return _pair(hours, "h", minutes % 60, "m") if hours < 8 else f"{hours}h"
    if days < 2 * _YEAR:
        return _pair(days, "d", hours % 24, "h") if days < 8 else f"{days}d"
    return _pair(days // _YEAR, "y", days % _YEAR, "d") if days < 8 * _YEAR else f"{days // _YEAR}y"


def _pair(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"

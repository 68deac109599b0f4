"""Findings: functions from rows to doubts about rows. A check never changes data."""

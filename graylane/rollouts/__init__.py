"""Rollout → canary workload: the table, what it observes, what it plans. Nothing is exported here. Pure."""

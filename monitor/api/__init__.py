"""The HTTP API: named queries, live updates and people's actions."""

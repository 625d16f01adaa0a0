"""Rules: from signals to alerts, event by event, in log order. Plain Python without IO or clock."""
